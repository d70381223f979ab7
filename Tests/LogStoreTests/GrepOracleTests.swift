internal import Disk
internal import Glibc
internal import Telemetry
internal import TestSupport
internal import Testing

@testable internal import LogStore

/// The store counts what a look at each line counts; in a thorough run, what grep counts: `VEDETTE_LOG_NEEDLES` says
/// how many needles are drawn, `VEDETTE_LOG_CORPUS` names a file of lines to draw them from. Otherwise no process is
/// started: its child would for a moment hold the locks that other tests let go of.
struct GrepOracleTests {
    private let folder: TemporaryFolder
    private let lines: [[UInt8]]
    private let needles: Int
    private let isThorough: Bool

    init() throws {
        folder = try TemporaryFolder()
        let wanted = getenv("VEDETTE_LOG_NEEDLES").flatMap { Int(String(cString: $0)) }
        needles = wanted ?? 60
        isThorough = wanted != nil
        if let corpus = getenv("VEDETTE_LOG_CORPUS").map({ String(cString: $0) }) {
            let bytes = try AtomicFile.read(corpus, in: SystemStorage(), maximumBytes: 1 << 30) ?? []
            lines = bytes.split(separator: 10, omittingEmptySubsequences: false).dropLast().map { Array($0) }
        } else {
            var samples = LineSamples(seed: 11)
            lines = (0..<8).flatMap { _ in samples.lines(400).lines }
                .filter { !$0.contains(10) && !$0.contains(0) && String(validating: $0, as: UTF8.self) != nil }
        }
    }

    private var path: String { folder.path + "/lines" }

    private func write(_ bytes: [UInt8], to path: String) throws {
        let file = try SystemStorage().open(path, .createOrOpen)
        try file.truncate(to: 0)
        try bytes.withUnsafeBufferPointer { try file.write(UnsafeRawBufferPointer($0), at: 0) }
    }

    /// How many lines are found with these options of grep and the pattern; nil when there is no grep.
    private func grep(_ options: String, _ pattern: [UInt8]) throws -> Int? {
        guard isThorough else { return try look(options, pattern) }
        try write(pattern + [10], to: folder.path + "/pattern")
        guard let pipe = popen("LC_ALL=C grep -a -c \(options) -f '\(folder.path)/pattern' '\(path)'", "r") else {
            return nil
        }
        defer { pclose(pipe) }
        var text = [CChar](repeating: 0, count: 32)
        guard fgets(&text, Int32(text.count), pipe) != nil else { return nil }
        return Int(String(decoding: text.prefix { $0 >= 48 }.map { UInt8($0) }, as: UTF8.self))
    }

    /// The same without grep: every line by itself.
    private func look(_ options: String, _ pattern: [UInt8]) throws -> Int {
        let foldsCase = options.contains("-i")
        let text = String(decoding: pattern, as: UTF8.self)
        let expression = options.contains("-E") ? try RegularExpression(text) : nil
        let folded = pattern.map { GrepOracleTests.lower($0) }
        return lines.count { line in
            if let expression { return line.withUnsafeBytes { expression.matches($0) } }
            let line = foldsCase ? line.map { GrepOracleTests.lower($0) } : line
            return line.withUnsafeBytes { $0.offset(of: foldsCase ? folded : pattern) != nil }
        }
    }

    private static func lower(_ byte: UInt8) -> UInt8 { ByteSet.upper.contains(byte) ? byte | 0x20 : byte }

    private func store() async throws -> LogDatabase {
        try write(lines.flatMap { $0 + [10] }, to: path)
        let clock = ManualClock()
        var options = LogStoreOptions()
        options.maintenanceMilliseconds = nil
        options.headBytesMaximum = 1 << 30
        let store = try LogDatabase.open(
            storage: SystemStorage(), folder: folder.path + "/logs", options: options, wallClock: clock)
        for start in stride(from: 0, to: lines.count, by: 20_000) {
            // Some streams, so that blocks hold lines of several programs and some are small.
            var streams = (0..<3).map { LogLines(labels: Labels(["s": "\($0)"])) }
            for index in start..<min(lines.count, start + 20_000) {
                streams[index % 37 == 0 ? 2 : index % 2].append(
                    nanoseconds: clock.nowNanoseconds - Int64(lines.count - index), line: lines[index])
            }
            _ = try await store.append(LogBatch(streams: streams.filter { $0.count > 0 }))
            store.maintainHead()
        }
        try store.seal()
        return store
    }

    private func count(_ store: LogDatabase, _ predicate: LinePredicate) throws -> Int {
        let request = LogRequest(
            matchers: [], range: LogTimeRange(startNanoseconds: 0, endNanoseconds: .max),
            fragment: LogPlanFragment(linePredicates: [predicate], grouping: []), countsBytes: false)
        let context = QueryContext(clock: ManualClock())
        let counts = try store.counts(request, bucketNanoseconds: .max, in: context) ?? []
        #expect(context.gaps.isEmpty && context.warnings.isEmpty)
        return counts.reduce(0) { $0 + $1.lines.reduce(0, +) }
    }

    /// An expression that finds `needle` and more: digits and letters as classes, a gap.
    private static func expression(_ needle: [UInt8], _ random: inout SeededGenerator) -> String {
        var text = ""
        for byte in needle {
            let scalar = Unicode.Scalar(byte)
            let isWord = ByteSet.word.contains(byte)
            switch random.int(in: 0..<8) {
            case 0 where ByteSet.digits.contains(byte): text += "[0-9]"
            case 1 where ByteSet.digits.contains(byte): text += "[0-9]+"
            case 2 where ByteSet.lower.contains(byte): text += "[a-z]"
            case 3 where isWord: text += "[a-zA-Z0-9_]"
            default: text += isWord || byte == 0x20 ? String(Character(scalar)) : "[\(scalar)]"
            }
        }
        return random.oneIn(6) ? text + ".*[0-9]" : text
    }

    @Test func countsAreThoseOfGrep() async throws {
        let store = try await store()
        var random = SeededGenerator(seed: UInt64(needles))
        for round in 0..<needles {
            let line = random.pick(lines)
            guard line.count > 2 else { continue }
            let start = random.int(in: 0..<line.count - 1)
            let end = min(line.count, start + random.pick([1, 2, 3, 4, 6, 9, 14, 33, 70]))
            let needle = Array(line[start..<end])
            guard needle.allSatisfy({ (0x20..<0x7f).contains($0) }) else { continue }
            let text = String(decoding: needle, as: UTF8.self)
            let plain = try #require(try grep("-F", needle), "a thorough run needs grep")
            #expect(try count(store, LinePredicate(.contains, [text])) == plain, "\(text)")
            let others = try count(store, LinePredicate(.contains, [text], isNegated: true))
            #expect(others == lines.count - plain, "not \(text)")
            if round % 3 == 0 {
                // Characters beyond ASCII fold onto two letters; grep of bytes does not know that.
                let folds = text.lowercased().contains { $0 == "k" || $0 == "s" }
                let found = try count(store, LinePredicate(.contains, [text], foldsCase: true))
                if !folds { #expect(try grep("-i -F", needle) == found, "(?i)\(text)") }
            }
            guard needle.count < 40, !needle.contains(where: { "^\\[]".utf8.contains($0) }) else { continue }
            let expression = GrepOracleTests.expression(needle, &random)
            let found = try count(store, LinePredicate(.matchesRegex, [expression]))
            #expect(try grep("-E", Array(expression.utf8)) == found, "\(expression)")
        }
        try store.close()
    }
}
