internal import TestSupport

/// Lines like those of real programs, for tests of templates and searches: some of each kind, with values that repeat,
/// rise, vary in width or break out of their type now and then.
struct LineSamples {
    var random: SeededGenerator
    private var counter: Int64 = 0

    init(seed: UInt64) {
        random = SeededGenerator(seed: seed)
    }

    private mutating func hexadecimal(_ count: Int) -> String {
        String((0..<count).map { _ in random.pick(Array("0123456789abcdef")) })
    }

    private mutating func number(_ digits: Int) -> String {
        String((0..<digits).map { _ in random.pick(Array("0123456789")) })
    }

    private mutating func address() -> String {
        (0..<4).map { _ in String(random.int(in: 0..<256)) }.joined(separator: ".")
    }

    private func clock(_ nanoseconds: Int64) -> String {
        let milliseconds = nanoseconds / 1_000_000
        let second = (milliseconds / 1000) % 86_400
        func two(_ value: Int64) -> String { value < 10 ? "0\(value)" : "\(value)" }
        let fraction = String(1000 + milliseconds % 1000).dropFirst()
        return "\(two(second / 3600)):\(two(second / 60 % 60)):\(two(second % 60)).\(fraction)"
    }

    /// A line of a kind from 0 to 9, written at a time of day.
    mutating func line(_ kind: Int, at nanoseconds: Int64) -> [UInt8] {
        counter += 1
        switch kind {
        case 0:
            let status = random.pick(["200", "200", "200", "404", "503"])
            return Array(
                ("{\"time\":\"2023-11-14T\(clock(nanoseconds))Z\",\"status\":\(status),\"request_id\":\""
                    + "\(hexadecimal(32))\",\"remote_addr\":\"\(address())\",\"args\":[1,\"a]\"],\"nested\":{\"user\":"
                    + "\"u\(random.int(in: 0..<9))\"},\"ok\":\(random.pick(["true", "false", "null"]))}").utf8)
        case 1:
            let path = random.pick(["/", "/api/v1/orders/\(number(5))", "/static/app.js?v=\(hexadecimal(6))"])
            return Array(
                ("\(address()) - - [14/Nov/2023:\(clock(nanoseconds).dropLast(4)) +0000] \"GET \(path) HTTP/1.1\" "
                    + "\(random.pick(["200", "404", "500"])) \(random.int(in: 0..<100_000)) \"-\" "
                    + "\"Mozilla/5.0 (X11)\"")
                    .utf8)
        case 2:
            return Array(
                ("2023-11-14 \(clock(nanoseconds)) UTC [\(random.int(in: 60..<70))] LOG:  duration: "
                    + "\(random.int(in: 0..<900)).\(number(3)) ms  statement: UPDATE t SET a = a + -\(number(3)) "
                    + "WHERE id = \(counter);").utf8)
        case 3:
            return Array(
                ("level=\(random.pick(["info", "warn", "error"])) ts=2023-11-14T\(clock(nanoseconds))Z caller=main.go:"
                    + "\(random.int(in: 10..<99)) msg=\"done \\\"now\\\"\" took=\(random.int(in: 1..<9))ms id="
                    + "\(hexadecimal(8))-\(hexadecimal(4))-\(hexadecimal(4))-\(hexadecimal(4))-\(hexadecimal(12))")
                    .utf8)
        case 4:
            let key = "key:" + String(repeating: "0", count: 6) + number(6)
            return Array(
                "1700000000.\(number(6)) [0 \(address()):\(random.int(in: 1..<65_536))] \"SET\" \"\(key)\"".utf8)
        case 5: return Array("user \(random.pick(["ann", "bob", "eve"])) logged in from \(address())".utf8)
        case 6:
            return Array("panic: runtime error 0x\(hexadecimal(random.int(in: 1..<12))) -0 007 1e5 \(number(25))".utf8)
        case 7: return random.bytes(random.int(in: 0..<60))
        case 8: return Array("{\"broken\":\"no end, \(number(3))".utf8)
        default: return Array(String(repeating: "\(random.pick(["kK", "s\u{17f}", "\u{212a}x"])) ", count: 3).utf8)
        }
    }

    /// Lines at rising times, most of them of one kind.
    mutating func lines(
        _ count: Int, from nanoseconds: Int64 = 1_700_000_000_000_000_000
    ) -> (times: [Int64], lines: [[UInt8]]) {
        var times: [Int64] = []
        var lines: [[UInt8]] = []
        var time = nanoseconds
        let main = random.int(in: 0..<10)
        for _ in 0..<count {
            time += Int64(random.int(in: 0..<3_000_000))
            times.append(time)
            lines.append(line(random.oneIn(5) ? random.int(in: 0..<10) : main, at: time))
        }
        return (times, lines)
    }
}
