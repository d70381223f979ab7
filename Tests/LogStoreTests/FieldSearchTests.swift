internal import Telemetry
internal import TestSupport
internal import Testing

@testable internal import LogStore

/// Columns drop only lines that a reader of the field drops as well, and drop them where a template is plain.
struct FieldSearchTests {
    private static func block(_ lines: [String], labels: Labels = Labels(["a": "b"])) throws -> StoredBlock {
        var appended = LogLines(labels: labels)
        for (index, line) in lines.enumerated() { appended.append(nanoseconds: Int64(index), line: Array(line.utf8)) }
        var columns = LineColumns()
        columns.append(appended, 0..<appended.count)
        return StoredBlock(
            LogBlock(encoding: columns, firstPosition: 1, lastPosition: 1, lastArrivalNanoseconds: 0))
    }

    private static func kept(
        _ lines: [String], _ parser: LogPlanFragment.Parser, _ predicate: FieldPredicate,
        labels: Labels = Labels(["a": "b"])
    ) throws -> [Int] {
        let fragment = LogPlanFragment(parser: parser, fieldPredicates: [predicate])
        let search = BlockSearch(try LineFilter([]), fragment)
        let block = try block(lines)
        return try search.select(try block.open(), 0..<lines.count, of: block, labels: labels).map { Int($0) }
    }

    @Test func numbersAndTextsOfObjectsAreCompared() throws {
        let lines = (0..<60).map { index in
            "{\"time\":\"t\(index)\",\"status\":\(200 + index % 3),\"method\":\"\(index % 2 == 0 ? "GET" : "PUT")\","
                + "\"took\":\(index % 5).\(index % 7)5}"
        }
        let equal = try FieldSearchTests.kept(lines, .json, FieldPredicate("status", .equal, "201"))
        #expect(equal == (0..<60).filter { $0 % 3 == 1 })
        let above = try FieldSearchTests.kept(lines, .json, FieldPredicate("status", .greater, "200", number: 200))
        #expect(above == (0..<60).filter { $0 % 3 > 0 })
        let method = try FieldSearchTests.kept(lines, .json, FieldPredicate("method", .equal, "PUT"))
        #expect(method == (0..<60).filter { $0 % 2 == 1 })
        let slow = try FieldSearchTests.kept(
            lines, .json, FieldPredicate("took", .greaterOrEqual, "4.15", number: 4.15))
        #expect(slow == (0..<60).filter { $0 % 5 == 4 && $0 % 7 > 0 })
        #expect(try FieldSearchTests.kept(lines, .json, FieldPredicate("absent", .equal, "1")).isEmpty)
        // Somebody has to say that the field is missing.
        #expect(try FieldSearchTests.kept(lines, .json, FieldPredicate("absent", .less, "1", number: 1)).count == 60)
        // A label of the stream comes before the field.
        let labels = Labels(["status": "x"])
        #expect(
            try FieldSearchTests.kept(lines, .json, FieldPredicate("status", .equal, "x"), labels: labels).count == 60)
    }

    @Test func whatIsNotPlainIsKept() throws {
        let lines = [
            "{\"status\":503", "no object 503", "{\"a\":{\"status\":503},\"status\":200}", "{\"st\\u0061tus\":503}",
            "{\"status\":\"5\\u003033\"}", "{ \" status \":503,\"b\":1}", "{\"status\":200,\"status\":503}",
            "[{\"status\":503}]", "{\"x\":[{\"status\":1}],\t\"status\":503}", "",
        ]
        let kept = try FieldSearchTests.kept(lines, .json, FieldPredicate("status", .equal, "503"))
        for index in [0, 2, 3, 4, 5, 6, 8] { #expect(kept.contains(index), "\(lines[index])") }
    }

    @Test func pairsAreCompared() throws {
        let lines = (0..<40).map { index in
            "level=\(index % 2 == 0 ? "info" : "warn") took=\(index)ms "
                + "msg=\"level=error took=\(index)\" code=\(index % 4)"
        }
        let code = try FieldSearchTests.kept(lines, .logfmt, FieldPredicate("code", .equal, "3"))
        #expect(code == (0..<40).filter { $0 % 4 == 3 })
        let level = try FieldSearchTests.kept(lines, .logfmt, FieldPredicate("level", .equal, "warn"))
        #expect(level == (0..<40).filter { $0 % 2 == 1 })
        #expect(try FieldSearchTests.kept(lines, .logfmt, FieldPredicate("code", .less, "1", number: 1)).count == 10)
    }

    /// The value of a field as a reader of whole lines finds it.
    private static func value(_ field: String, in line: [UInt8]) -> String? {
        line.withUnsafeBytes { raw -> String? in
            var scanner = JSONScanner(raw)
            guard (try? scanner.enterObject()) != nil else { return nil }
            while let key = try? scanner.nextKey() {
                if key.string == field {
                    guard let kind = try? scanner.peek() else { return nil }
                    if kind == .string { return try? scanner.string().string }
                    return (try? scanner.skipValue()).map { String(decoding: $0, as: UTF8.self) }
                }
                guard (try? scanner.skipValue()) != nil else { return nil }
            }
            return nil
        }
    }

    @Test(arguments: 0..<12) func noLineThatPassesIsDropped(seed: Int) throws {
        var samples = LineSamples(seed: UInt64(seed) + 77)
        let (_, lines) = samples.lines(300)
        let texts = lines.map { String(decoding: $0, as: UTF8.self) }
        for (field, value) in [
            ("status", "503"), ("status", "404"), ("ok", "true"), ("time", "x"), ("request_id", "a"),
        ] {
            let kept = try FieldSearchTests.kept(texts, .json, FieldPredicate(field, .equal, value))
            let passing = texts.indices.filter { FieldSearchTests.value(field, in: Array(texts[$0].utf8)) == value }
            #expect(Set(passing).isSubset(of: kept), "\(field)=\(value)")
        }
    }
}
