internal import Dispatch
internal import Foundation
internal import ScenarioSupport
internal import Testing

/// A guest under load loses its power; nothing it had acknowledged is missing, and nothing is there twice.
///
/// `kill -9` proves nothing about fsync, because the page cache survives it. Here the data folder lies on a block image
/// of a user-mode guest, and the guest is killed: what was not synced is gone.
@Suite(.serialized) struct PowerCut {
    /// The number of cuts: 50, or $VEDETTE_CUTS.
    static let cuts = Int(ProcessInfo.processInfo.environment["VEDETTE_CUTS"] ?? "") ?? 50
    /// Guests side by side, one a core: each has one processor and is cut without regard to the others.
    static let guests = min(cuts, max(1, ProcessInfo.processInfo.activeProcessorCount))

    @Test(.enabled(if: UserModeGuest.reasonForAbsence == nil, "\(UserModeGuest.reasonForAbsence ?? "")"))
    func nothingAcknowledgedIsMissing() async throws {
        let start = DispatchTime.now().uptimeNanoseconds
        let total = try await withThrowingTaskGroup(of: Int.self) { group in
            for guest in 0..<PowerCut.guests {
                let share = (PowerCut.cuts + guest) / PowerCut.guests
                group.addTask { try await PowerCut.cut(times: share) }
            }
            return try await group.reduce(0, +)
        }
        #expect(total > PowerCut.cuts, "there was load: \(total) acknowledged")
        let seconds = Double(DispatchTime.now().uptimeNanoseconds - start) / 1e9
        print(
            "power cut \(PowerCut.cuts) times under load on \(PowerCut.guests) guests in \(Int(seconds)) s,",
            "\(total) batches acknowledged, none missing, none twice")
    }

    /// Cuts the power of one guest again and again; returns the number of acknowledged batches. One boot more than cuts
    /// is needed: each first reports what is stored of the run before, and the last only reports.
    private static func cut(times: Int) async throws -> Int {
        let guest = try UserModeGuest()
        defer { guest.remove() }
        var generator = SystemRandomNumberGenerator()
        var before: LoadReport?
        var total = 0
        for cut in 1...times + 1 {
            let delay = cut > times ? 0 : UInt64.random(in: 50...900, using: &generator)
            let run = try await guest.boot(run: cut, cutAfterMilliseconds: delay)
            if let before {
                let complaints = run.report.complaints(after: before.acknowledged)
                #expect(complaints.isEmpty, "run \(cut - 1): \(complaints)\n\(run.console.suffix(1_500))")
            }
            let acknowledged = run.report.acknowledged
            #expect(!acknowledged.isEmpty, "run \(cut) acknowledged nothing:\n\(run.console.suffix(1_500))")
            before = run.report
            total += acknowledged.values.reduce(0, +)
        }
        return total
    }
}
