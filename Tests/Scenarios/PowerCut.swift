internal import Foundation
internal import Glibc
internal import ScenarioSupport
internal import Testing

/// A guest under load loses its power; nothing it had acknowledged is missing, and nothing is there twice.
///
/// `kill -9` proves nothing about fsync, because the page cache survives it. Here the data folder lies on a block image
/// of a user-mode guest, and the guest is killed: what was not synced is gone.
@Suite(.serialized) struct PowerCut {
    /// The number of cuts: 50, or $VEDETTE_CUTS.
    static let cuts = Int(ProcessInfo.processInfo.environment["VEDETTE_CUTS"] ?? "") ?? 50

    @Test(.enabled(if: UserModeGuest.reasonForAbsence == nil, "\(UserModeGuest.reasonForAbsence ?? "")"))
    func nothingAcknowledgedIsMissing() async throws {
        let guest = try UserModeGuest()
        defer { guest.remove() }
        var generator = SystemRandomNumberGenerator()
        var acknowledged: [UserModeGuest.Signal: Int] = [:]
        var total = 0
        for cut in 1...PowerCut.cuts {
            // Each boot first reports what is stored of the run before, then loads until the power goes.
            let run = try await guest.boot(
                run: cut, cutAfterMilliseconds: UInt64.random(in: 50...900, using: &generator))
            let before = acknowledged
            #expect(cut == 1 || !before.isEmpty, "run \(cut - 1) acknowledged nothing:\n\(run.console.suffix(1_500))")
            for (signal, last) in before {
                let stored = try #require(
                    run.stored[signal], "run \(cut) did not report \(signal):\n\(run.console.suffix(1_500))")
                #expect(
                    stored.last >= last,
                    "\(signal) of run \(cut - 1): \(last) was acknowledged, \(stored.last) is stored")
                #expect(
                    stored.count == stored.last,
                    "\(signal) of run \(cut - 1): 1...\(stored.last) once each, found \(stored.count)")
            }
            acknowledged = run.acknowledged
            total += run.acknowledged.values.reduce(0, +)
        }
        #expect(total > PowerCut.cuts, "there was load: \(total) acknowledged")
        print("power cut \(PowerCut.cuts) times under load, \(total) batches acknowledged, none missing, none twice")
    }
}
