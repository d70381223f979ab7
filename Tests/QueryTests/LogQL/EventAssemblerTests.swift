internal import Query
internal import Telemetry
internal import Testing

/// Stack traces of the runtimes that containers run are one event each; lines of their own stay apart.
@Suite struct EventAssemblerTests {
    /// The number of lines of each event in `text`, lines a millisecond apart.
    private func events(_ text: String, apartNanoseconds: Int64 = 1_000_000) -> [Int] {
        var assembler = EventAssembler()
        var counts: [Int] = []
        for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            if assembler.continues(Array(line.utf8), at: Int64(index) * apartNanoseconds) {
                counts[counts.count - 1] += 1
            } else {
                counts.append(1)
            }
        }
        return counts
    }

    @Test func anObjectIsALineOfItsOwnWhateverCrashesBelowIt() {
        let object = #"{"level":"info","msg":"request"}"#
        #expect(events("\(object)\nTraceback (most recent call last):\n  File \"a.py\"\nValueError: no") == [1, 3])
        #expect(events("\(object)\njava.io.IOException: gone\n\tat a.B.c(B.java:1)") == [1, 2])
        #expect(events("ERROR cannot pay\njava.io.IOException: gone\n\tat a.B.c(B.java:1)") == [3])
    }

    static let traces: [(name: String, text: String)] = [
        (
            "Java",
            """
            2026-11-23 10:00:00 ERROR Checkout failed
            java.lang.IllegalStateException: no stock
            \tat com.shop.Cart.take(Cart.java:41)
            \tat com.shop.Main.main(Main.java:7)
            Caused by: java.io.IOException: gone
            \tat com.shop.Disk.read(Disk.java:3)
            \t... 2 more
            """
        ),
        (
            "Python",
            """
            ERROR:root:checkout failed
            Traceback (most recent call last):
              File "/app/main.py", line 3, in <module>
                take(1)
              File "/app/cart.py", line 9, in take
                raise KeyError(n)
            KeyError: 1

            During handling of the above exception, another exception occurred:

            Traceback (most recent call last):
              File "/app/main.py", line 5, in <module>
                raise ValueError("no")
            ValueError: no
            """
        ),
        (
            "Go",
            """
            panic: runtime error: index out of range [3] with length 2

            goroutine 1 [running]:
            main.take(0xc000012345, 0x2)
            \t/app/main.go:12 +0x1d
            main.main()
            \t/app/main.go:5 +0x2c
            exit status 2
            """
        ),
        (
            "Node",
            """
            /app/index.js:10
                throw new TypeError("no");
                ^

            TypeError: no
                at take (/app/index.js:10:11)
                at Object.<anonymous> (/app/index.js:14:1)

            Node.js v20.1.0
            """
        ),
        (
            "Rust",
            """
            thread 'main' panicked at src/main.rs:2:5:
            index out of bounds: the len is 2 but the index is 3
            stack backtrace:
               0: rust_begin_unwind
                         at /rustc/abc/library/std/src/panicking.rs:645:5
            note: run with `RUST_BACKTRACE=full` for a verbose backtrace
            """
        ),
        (
            "Swift",
            """
            main/main.swift:3: Fatal error: Index out of range

            *** Signal 4: Backtracing from 0x7f12... done ***

            Thread 0 "main" crashed:

            0 0x00007f1234 take(_:) + 12 in main at /app/main.swift:3:9
            1 0x00007f1299 main + 4 in main at /app/main.swift:9:1

            Registers:

            rax 0x0000000000000001  1
            """
        ),
        (
            ".NET",
            """
            Unhandled exception. System.InvalidOperationException: no stock
             ---> System.IO.IOException: gone
               at Shop.Disk.Read() in /app/Disk.cs:line 3
               --- End of inner exception stack trace ---
               at Shop.Program.Main() in /app/Program.cs:line 7
            """
        ),
    ]

    @Test(arguments: traces)
    func aTraceIsOneEvent(name: String, text: String) {
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false).count
        #expect(events(text) == [lines], "\(name)")
        // Between lines of their own it is still one, and they stay apart.
        let around = "2026-11-23 09:59:59 INFO before\n\(text)\n2026-11-23 10:00:09 INFO after\nlevel=info msg=more"
        #expect(events(around) == [1, lines, 1, 1], "\(name)")
    }

    @Test func linesOfTheirOwnStayApart() {
        #expect(events("one\ntwo\n{\"a\":1}\nlevel=info a=b\n2026-11-23 x") == [1, 1, 1, 1, 1])
        #expect(events("ValueError is what they call it\nan Error: no") == [1, 1])
        // An exception that is named in passing begins nothing: only a line that is one continues.
        #expect(events("caught java.io.IOException: gone\nnext") == [1, 1])
    }

    @Test func whatIsPrintedOverLinesIsOne() {
        #expect(events("payload: {\n  \"a\": 1,\n  \"b\": [\n    2\n  ]\n}\nnext") == [6, 1])
    }

    @Test func timeEndsAnEvent() {
        #expect(events("failed\n\tat a.b(C.java:1)\n\tat a.c(C.java:2)", apartNanoseconds: 3_000_000_000) == [1, 1, 1])
    }

    @Test func anEventHasAnEnd() {
        let text = "begin\n" + Array(repeating: "  more", count: 2_500).joined(separator: "\n")
        #expect(events(text).max() == EventAssembler.linesMaximum)
    }

    @Test func theEventAroundALine() {
        let lines = ["before", "failed", "\tat a", "\tat b", "after"].enumerated().map { index, text in
            LogLine(
                nanoseconds: Int64(index), text: Array(text.utf8), labels: .empty, stream: .empty)
        }
        #expect(LogEvents.range(around: 3, of: lines) == 1..<4)
        #expect(LogEvents.range(around: 1, of: lines) == 1..<4)
        #expect(LogEvents.range(around: 0, of: lines) == 0..<1)
        #expect(LogEvents.range(around: 4, of: lines) == 4..<5)
    }
}
