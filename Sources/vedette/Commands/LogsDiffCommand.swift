internal import ArgumentParser
internal import Query
internal import Telemetry

/// `vedette logs diff`: what is written now that was not before.
struct LogsDiffCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "diff",
        abstract: "Compare the patterns of now with those of before: new, vanished, more, fewer.",
        discussion: """
            Examples:
              vedette logs diff
              vedette logs diff --container api --baseline 1h..2h --window 10m
              vedette logs diff --at 2026-11-23T10:00:00Z --window 5m

            The most remarkable change comes first: errors before the rest, new patterns before those that became more.
            """)

    @OptionGroup var filter: LogFilterOptions

    @Option(name: .long, help: "The span to compare with, as durations before --at: from..to.")
    var baseline = "1h..2h"

    @Option(name: .long, help: "The span that is looked at, ending at --at.")
    var window = "10m"

    @Option(name: .long, help: "The end of the window: a duration ago, RFC 3339 or seconds since 1970.")
    var at = "now"

    @Option(name: .shortAndLong, help: "At most this many changes; 0 for all.")
    var maximum = 40

    @OptionGroup var client: ClientOptions

    func run() async throws {
        let server = try ServerClient(client)
        let end = try TimeArgument.nanoseconds(at, option: "--at", now: SystemWallClock().nowNanoseconds)
        let length = try TimeArgument.duration(window, option: "--window") * 1_000_000
        let borders = baseline.split(separator: "..").map(String.init)
        guard borders.count == 2 else {
            throw CommandFailure.wrongUsage(
                "--baseline \(baseline) is no span; write two durations ago, for example 1h..2h")
        }
        let offsets = try borders.map { try TimeArgument.duration($0, option: "--baseline") * 1_000_000 }
        let (near, far) = (offsets.min() ?? 0, offsets.max() ?? 0)
        guard far > near, length > 0 else {
            throw CommandFailure.wrongUsage("--baseline and --window must be longer than nothing")
        }
        let before = LogTimeRange(startNanoseconds: end - far, endNanoseconds: end - near)
        let now = LogTimeRange(startNanoseconds: end - length, endNanoseconds: end + 1)
        let old = PatternList.counts(try await PatternList.ask(server, filter.query, before, buckets: 1))
        let new = PatternList.counts(try await PatternList.ask(server, filter.query, now, buckets: 1))
        let difference = PatternDifference(
            before: old, secondsBefore: Double(far - near) / 1e9, now: new, secondsNow: Double(length) / 1e9)
        let shown = maximum == 0 ? difference.changes[...] : difference.changes.prefix(maximum)
        if client.output == .json { return Terminal.write(LogsDiffCommand.json(shown)) }
        if !shown.isEmpty {
            Terminal.write(LogsDiffCommand.table(shown, perMinute: (Double(far - near) / 60e9, Double(length) / 60e9)))
        }
        var note = "\(difference.changes.count) changes among \(Set((old + new).map(\.pattern)).count) patterns"
        if shown.count < difference.changes.count { note += ", \(shown.count) shown (-m 0 for all)" }
        if old.isEmpty { note += "; the baseline has no lines, so everything is new" }
        Terminal.note(note)
    }

    private static func table(
        _ changes: ArraySlice<PatternDifference.Change>, perMinute: (before: Double, now: Double)
    ) -> String {
        var table = TextTable(
            ["change", "before/min", "now/min", "level", "pattern"], alignments: [.left, .right, .right])
        func rate(_ lines: Int, _ minutes: Double) -> String {
            FloatText.plain((Double(lines) / max(minutes, 1e-9) * 10).rounded() / 10)
        }
        for change in changes {
            table.append([
                change.kind.rawValue, rate(change.linesBefore, perMinute.before), rate(change.linesNow, perMinute.now),
                change.severity == .unknown ? "" : change.severity.name, TerminalText.plain(change.pattern),
            ])
        }
        return table.render()
    }

    private static func json(_ changes: ArraySlice<PatternDifference.Change>) -> [UInt8] {
        var writer = JSONWriter()
        writer.beginArray()
        for change in changes {
            writer.beginObject()
            writer.member("change", change.kind.rawValue)
            writer.member("pattern", change.pattern)
            writer.member("level", change.severity.name)
            writer.member("linesBefore", change.linesBefore)
            writer.member("linesNow", change.linesNow)
            writer.key("score")
            writer.number(change.score)
            writer.member("example", change.example)
            writer.endObject()
        }
        writer.endArray()
        return writer.bytes + [0x0a]
    }
}
