internal import Telemetry
internal import TestSupport
internal import Testing

@testable internal import LogStore

/// Searching columns finds exactly the lines that a plain scan of the text finds.
struct BlockSearchTests {
    private static func block(_ times: [Int64], _ lines: [[UInt8]]) -> (LogBlock, LineColumns) {
        var columns = LineColumns()
        var appended = LogLines(labels: Labels(["a": "b"]))
        for (time, line) in zip(times, lines) { appended.append(nanoseconds: time, line: line) }
        columns.append(appended, 0..<appended.count)
        return (LogBlock(encoding: columns, firstPosition: 1, lastPosition: 1, lastArrivalNanoseconds: 0), columns)
    }

    /// Pieces of the lines themselves, of every length, from anywhere: most of them lie across slots.
    private static func predicates(_ lines: [[UInt8]], _ random: inout SeededGenerator) -> [LinePredicate] {
        var texts = ["GET", " 404 ", "\"status\":503", "duration: ", "ms", "0", "42", "zzqqy", "", "000", ":0"]
        for _ in 0..<30 {
            let line = random.pick(lines)
            guard !line.isEmpty else { continue }
            let start = random.int(in: 0..<line.count)
            let end = min(line.count, start + random.pick([1, 2, 3, 5, 8, 13, 32, 60]))
            texts.append(String(decoding: line[start..<end], as: UTF8.self))
        }
        // Digits and hexadecimal digits from within numbers and identifiers, and their neighbours.
        for _ in 0..<40 {
            let line = random.pick(lines)
            let runs = line.split { !($0 &- UInt8(ascii: "0") < 10 || $0 &- UInt8(ascii: "a") < 6) }
            guard let run = runs.filter({ $0.count >= 5 }).max(by: { $0.count < $1.count }) else { continue }
            let count = min(run.count, random.pick([5, 6, 7, 9, 12, 32]))
            let start = run.startIndex + random.int(in: 0..<run.count - count + 1)
            var piece = Array(run[start..<start + count])
            if random.int(in: 0..<4) == 0 { piece[piece.count - 1] ^= 1 }
            texts.append(String(decoding: piece, as: UTF8.self))
        }
        // A few digits are everywhere: within numbers, fractions, addresses, dates and identifiers.
        for _ in 0..<40 {
            let line = random.pick(lines)
            let runs = line.split { !($0 &- UInt8(ascii: "0") < 10 || $0 &- UInt8(ascii: "a") < 6) }
            guard !runs.isEmpty else { continue }
            let run = random.pick(runs)
            let start = run.startIndex + random.int(in: 0..<run.count)
            texts.append(String(decoding: run[start..<min(run.endIndex, start + random.int(in: 1..<5))], as: UTF8.self))
        }
        texts += ["00000", "00012", "10000", "99999"]
        texts += ["0", "00", "000", "7", "17", "404", "0.3", ".0", "1.", "2026", "05"]
        texts += [" 5", ":0", "0:0", "T0", "-1", "3Z", "9.1", "05.3", "10.0", ".25", "0.0.", "7.9", "59.9", "00 U"]
        // What stands around a point, of whatever kind.
        for _ in 0..<40 {
            let line = random.pick(lines)
            guard let point = line.indices.filter({ line[$0] == 46 }).randomElement(using: &random) else { continue }
            let piece = line[max(0, point - random.int(in: 0..<4))..<min(line.count, point + random.int(in: 1..<4))]
            texts.append(String(decoding: piece, as: UTF8.self))
        }
        var predicates = texts.map { LinePredicate(.contains, [$0]) }
        predicates += texts.prefix(20).map { LinePredicate(.contains, [$0], foldsCase: true) }
        predicates += texts.suffix(8).map { LinePredicate(.contains, [$0], isNegated: true) }
        let expressions = [
            "[0-9]+\\.[0-9]+ [a-z]+", "status\":5[0-9][0-9]", "^\\{", "\\}$", "(?i)error|WARN", "GET .* 404",
            "orders/[0-9]*7 HTTP", "duration: [1-9][0-9]*\\.[0-9]+ ms", "\\d{3}-\\d", "^$", "a|", "[^a-z]{12}", "\\bms",
            "id=[0-9a-f]{8}-", "(ab|cd)+e?", "ü", ".{40}", "\\.[0-9]{3}Z", "\\[6[0-9]\\]", "(?i)k", "(?s:.)7$",
            "\\S+@", "1{2,3}", "x*$", "-[0-9]{3} WHERE", "\\b5[0-9]{2}\\b", "\\bGET\\b", "\\b", "s\\b", "\\b$", "^\\b",
            "\\b^", "(\\b|x)7", "\\b[A-Z]{3,}\\b.*[0-9]{3}", "\\.\\b[0-9]+\\b\"", "ü\\b", "\\b\\b404\\b*", ".{100}",
        ]
        predicates += expressions.map { LinePredicate(.matchesRegex, [$0]) }
        predicates += expressions.prefix(12).map { LinePredicate(.matchesRegex, [$0], foldsCase: true) }
        predicates += ["<_>GET<_>404<_>", "level=<_> ts<_>", "<_>;", "<_>"].map { LinePredicate(.matchesPattern, [$0]) }
        predicates.append(LinePredicate(.contains, ["GET", "503", "error"]))
        predicates.append(LinePredicate(.containsAddress, ["10.0.0.0/8"]))
        return predicates
    }

    @Test(arguments: 0..<24) func everyPredicateFindsWhatAScanFinds(seed: Int) throws {
        var samples = LineSamples(seed: UInt64(seed))
        let (times, lines) = samples.lines(seed % 3 == 0 ? 900 : 150)
        let (block, columns) = BlockSearchTests.block(times, lines)
        let open = try StoredBlock(block).open()
        let cache = BlockCache(bytesMaximum: 1 << 20)
        for predicate in BlockSearchTests.predicates(lines, &samples.random) {
            let filter = try LineFilter([predicate])
            let expected = lines.indices.filter { filter.matches(lines[$0][...]) }.map { Int32($0) }
            let search = BlockSearch(filter)
            let found = try search.select(open, 0..<columns.count, of: StoredBlock(block))
            let missed = expected.first { !found.contains($0) }.map { String(decoding: lines[Int($0)], as: UTF8.self) }
            let wrong = found.first { !expected.contains($0) }.map { String(decoding: lines[Int($0)], as: UTF8.self) }
            #expect(found == expected, "\(predicate) missed \(missed ?? "-") wrong \(wrong ?? "-")")
            if !expected.isEmpty { #expect(search.obstacle(StoredBlock(block), cache) == nil, "\(predicate)") }
        }
    }

    @Test(arguments: 0..<24) func linesComeBackAndAreAsLongAsMeasured(seed: Int) throws {
        var samples = LineSamples(seed: UInt64(seed) + 1000)
        let (times, lines) = samples.lines(400)
        let (block, columns) = BlockSearchTests.block(times, lines)
        let restored = try StoredBlock(block).columns()
        #expect(restored == columns)
        let lengths = try StoredBlock(block).open().lengths()
        #expect(lengths.map { Int($0) } == lines.map(\.count))
    }

    @Test func wordsRuleOutBlocksWithoutThem() throws {
        var samples = LineSamples(seed: 5)
        let made = (0..<2000).map { samples.line(0, at: 1_700_000_000_000_000_000 + $0) }
        let (block, _) = BlockSearchTests.block((0..<2000).map { 1_700_000_000_000_000_000 + $0 }, made)
        let cache = BlockCache(bytesMaximum: 1 << 20)
        func mayMatch(_ text: String) throws -> Bool {
            try BlockSearch(LineFilter([LinePredicate(.contains, [text])])).obstacle(StoredBlock(block), cache) == nil
        }
        var passed = 0
        for _ in 0..<500 where try mayMatch(samples.line(0, at: 0).hexadecimalWord) { passed += 1 }
        // One in 256 by chance.
        #expect(passed < 12)
        for line in made.prefix(100) { #expect(try mayMatch(line.hexadecimalWord)) }
        #expect(try mayMatch(String(made[0].hexadecimalWord.dropFirst())))
        #expect(try !mayMatch(String(repeating: "a", count: 33)))
    }
}

extension [UInt8] {
    /// The first run of 32 hexadecimal digits.
    fileprivate var hexadecimalWord: String {
        let text = String(decoding: self, as: UTF8.self)
        let parts = text.split { !$0.isHexDigit }
        return parts.first { $0.count == 32 }.map { String($0) } ?? ""
    }
}
