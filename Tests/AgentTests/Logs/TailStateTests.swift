import Testing

@testable import Agent

/// What the tailer decides about a file, from what it sees of it.
@Suite struct TailStateTests {
    private static func sight(_ size: UInt64, named: Bool = true, deleted: Bool = false) -> TailState.Sight {
        TailState.Sight(sizeBytes: size, isNamed: named, isDeleted: deleted)
    }

    @Test func itReadsWhatIsNewAndWaitsForMore() {
        var state = TailState(offset: 10)
        #expect(state.look(Self.sight(10), isAccepting: true, atNanoseconds: 0) == .wait)
        #expect(state.look(Self.sight(20), isAccepting: true, atNanoseconds: 0) == .read)
        state.advance(to: 20)
        #expect(state.look(Self.sight(20), isAccepting: true, atNanoseconds: 0) == .wait)
    }

    @Test func aFileThatWasCutBeginsANewGeneration() {
        var state = TailState(offset: 100)
        #expect(state.look(Self.sight(40), isAccepting: true, atNanoseconds: 0) == .startOver)
        #expect(state.generation == 1)
        #expect(state.offset == 0)
        #expect(state.look(Self.sight(40), isAccepting: true, atNanoseconds: 0) == .read)
    }

    @Test func aRotatedFileIsReadToItsEndAndHeldForAWhile() {
        var state = TailState(offset: 10)
        #expect(state.look(Self.sight(30, named: false), isAccepting: true, atNanoseconds: 0) == .read)
        state.advance(to: 30)
        #expect(state.look(Self.sight(30, named: false), isAccepting: true, atNanoseconds: 5) == .wait)
        let quiet = TailState.quietNanoseconds
        // Its writer had a last word.
        #expect(state.look(Self.sight(35, named: false), isAccepting: true, atNanoseconds: quiet) == .read)
        state.advance(to: 35)
        #expect(state.look(Self.sight(35, named: false), isAccepting: true, atNanoseconds: quiet + 1) == .wait)
        #expect(state.look(Self.sight(35, named: false), isAccepting: true, atNanoseconds: 2 * quiet + 1) == .close)
    }

    @Test func withoutRoomItWaitsButDoesNotHoldADeletedFileForEver() {
        var state = TailState(offset: 0)
        let large = TailState.heldBytesMaximum + 1
        #expect(state.look(Self.sight(large), isAccepting: false, atNanoseconds: 0) == .wait)
        let small = Self.sight(1000, named: false, deleted: true)
        #expect(state.look(small, isAccepting: false, atNanoseconds: 0) == .wait)
        let deleted = Self.sight(large, named: false, deleted: true)
        #expect(state.look(deleted, isAccepting: false, atNanoseconds: 0) == .abandon(lostBytes: large))
    }
}
