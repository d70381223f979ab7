/// A text file: every line is itself. Its time is when it was read, because nothing says more.
struct PlainFormat: LogFormat {
    static let name = "plain"

    func parse(_ line: UnsafeRawBufferPointer, into text: inout [UInt8]) -> LogRecord? {
        // Written by systems that end lines with two bytes.
        let end = line.last == UInt8(ascii: "\r") ? line.count - 1 : line.count
        text.append(contentsOf: UnsafeRawBufferPointer(rebasing: line[..<end]))
        return LogRecord(stream: .standardOutput, nanoseconds: nil, ending: .complete)
    }
}
