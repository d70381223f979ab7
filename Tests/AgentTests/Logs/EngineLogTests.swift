import Telemetry
import Testing

@testable import Agent

/// An engine's answer about a container whose log only the engine can read.
@Suite struct EngineLogTests {
    private static func frame(_ stream: UInt8, _ text: String) -> [UInt8] {
        let bytes = Array(text.utf8)
        return [stream, 0, 0, 0, 0, 0, UInt8(bytes.count >> 8), UInt8(bytes.count & 255)] + bytes
    }

    private static let answer =
        frame(1, "2026-11-23T08:33:03.100000001Z one\n") + frame(2, "2026-11-23T08:33:03.100000001Z two\n")
        + frame(1, "2026-11-23T08:33:04.000000000Z panic")

    @Test func framesAreReadHoweverTheyAreCut() throws {
        var whole = EngineLogDecoder(hasTerminal: false)
        let messages = try whole.take(Self.answer)
        #expect(messages.map { String(decoding: $0.text, as: UTF8.self) } == ["one", "two", "panic"])
        #expect(messages.map(\.stream) == [.standardOutput, .standardError, .standardOutput])
        #expect(messages.map(\.ending) == [.complete, .complete, .last])
        var pieces = EngineLogDecoder(hasTerminal: false)
        #expect(try Self.answer.flatMap { try pieces.take([$0]) } == messages)
    }

    @Test func aTerminalHasLinesAndNoFrames() throws {
        var decoder = EngineLogDecoder(hasTerminal: true)
        let messages = try decoder.take(Array("2026-11-23T08:33:03Z one\r\n2026-11-23T08:33:04Z tw".utf8))
        #expect(messages.map { String(decoding: $0.text, as: UTF8.self) } == ["one"])
    }

    @Test func whatIsNoAnswerOfAnEngineIsRefused() {
        var decoder = EngineLogDecoder(hasTerminal: false)
        #expect(throws: ByteError.self) { try decoder.take(Array("<html>busy</html>".utf8)) }
    }

    @Test func afterARestartWhatTheServerHasIsPassedOver() throws {
        var reach = EngineLogReach(nil)
        var decoder = EngineLogDecoder(hasTerminal: false)
        let messages = try decoder.take(Self.answer)
        #expect(messages.prefix(1).map { reach.accept($0) } == [true])
        // The server has the first of two messages of one moment; the engine gives both again.
        var next = EngineLogReach(reach.reach)
        #expect(next.nanoseconds == messages[0].nanoseconds)
        #expect(messages.map { next.accept($0) } == [false, true, true])
        #expect(next.number == 3)
        // Whatever was sent before the crash has the same number now.
        var undisturbed = EngineLogReach(nil)
        for message in messages { _ = undisturbed.accept(message) }
        #expect(undisturbed == next)
    }
}
