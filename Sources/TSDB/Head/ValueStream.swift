internal import Telemetry

/// Values of one series in the head, in the order of arrival, compressed as they come.
///
/// Most series hardly ever change: as long as one does not, it is a value and a count. The values of one that does
/// gather in a line of the table's `ValueLines` and become a `ValueBlock` when it is full and more come. In `bytes`
/// stand the first value, then blocks, and between them runs of the value before: a byte of 0x80 or more, for
/// (byte & 0x7f) + 1 of them.
struct ValueStream {
    private static let runFlag: UInt8 = 0x80
    private static let runMaximum = 128

    private var bytes: [UInt8] = []
    /// The newest value that is in no line.
    private var last: UInt64
    /// The line of the series; -1 while it needed none.
    private var line: Int32 = -1
    /// How many values equal to `last` stand behind the bytes; 0 while there are values in the line.
    private var runCount: UInt16 = 0
    /// How many values are in the line.
    private var lineCount: UInt8 = 0

    /// No values yet.
    init() { last = 0 }

    /// One value.
    init(_ value: UInt64) { (last, runCount) = (value, 1) }

    /// Adds a value behind another; returns how many bytes more are held, about.
    @inline(__always)
    mutating func append(_ value: UInt64, _ lines: inout ValueLines) -> Int {
        if value == last, lineCount == 0, runCount < .max {
            runCount += 1
            return 0
        }
        return appendToLine(value, &lines)
    }

    private mutating func appendToLine(_ value: UInt64, _ lines: inout ValueLines) -> Int {
        var added = 0
        if lineCount == ValueBlock.count {
            added += compressLine(lines)
            if value == last {
                runCount = 1
                return added
            }
        }
        if line < 0 {
            line = lines.add()
            added += ValueLines.lineBytes
        }
        if runCount == 1, bytes.isEmpty {
            // The first value goes into the line with those behind it: a young series needs no bytes.
            lines.set(last, at: 0, of: line)
            (runCount, lineCount) = (0, 1)
        } else if runCount > 0 {
            added += closeRun()
        }
        lines.set(value, at: Int(lineCount), of: line)
        lineCount += 1
        return added
    }

    private mutating func closeRun() -> Int {
        let before = bytes.count
        begin(with: last, room: (Int(runCount) + Self.runMaximum - 1) / Self.runMaximum)
        while runCount > 0 {
            let count = min(Int(runCount), Self.runMaximum)
            bytes.append(Self.runFlag | UInt8(count - 1))
            runCount -= UInt16(count)
        }
        return bytes.count - before
    }

    private mutating func compressLine(_ lines: ValueLines) -> Int {
        withUnsafeTemporaryAllocation(byteCount: ValueBlock.bytesMaximum, alignment: 8) { space in
            let before = bytes.count
            let count = lines.withValues(of: line) { values in
                if bytes.isEmpty { last = values[0] }
                defer { last = values[ValueBlock.count - 1] }
                let count = ValueBlock.write(values, behind: last, into: space)
                begin(with: last, room: count)
                return count
            }
            lineCount = 0
            bytes.append(contentsOf: UnsafeRawBufferPointer(rebasing: space[..<count]))
            return bytes.count - before
        }
    }

    /// Makes room for bytes, in front of which the first value stands. There are as many of these as series: they must
    /// not double.
    private mutating func begin(with first: UInt64, room: Int) {
        let count = bytes.count + room + (bytes.isEmpty ? 8 : 0)
        if count > bytes.capacity { bytes.reserveCapacity(count + count / 8) }
        if bytes.isEmpty { withUnsafeBytes(of: first) { bytes.append(contentsOf: $0) } }
    }

    /// Writes the first `values.count` values, of which there must be as many.
    func read(into values: UnsafeMutableBufferPointer<UInt64>, _ lines: ValueLines) {
        var filled = 0
        var last = last
        withUnsafeTemporaryAllocation(of: UInt64.self, capacity: ValueBlock.count) { block in
            bytes.withUnsafeBytes { bytes in
                var place = 0
                if !bytes.isEmpty {
                    last = bytes.loadUnaligned(as: UInt64.self)
                    place = 8
                }
                while filled < values.count, place < bytes.count {
                    let head = bytes[place]
                    if head >= Self.runFlag {
                        let end = min(values.count, filled + Int(head & ~Self.runFlag) + 1)
                        values[filled..<end].update(repeating: last)
                        filled = end
                        place += 1
                    } else {
                        ValueBlock.read(bytes, at: &place, behind: last, into: block)
                        let end = min(values.count, filled + block.count)
                        for index in filled..<end { values[index] = block[index - filled] }
                        filled = end
                        last = block[block.count - 1]
                    }
                }
            }
        }
        if lineCount == 0 {
            values[filled...].update(repeating: last)
        } else {
            lines.withValues(of: line) { line in
                for index in filled..<values.count { values[index] = line[index - filled] }
            }
        }
    }
}

/// The newest values of the series of one table that change: a line of eight for each.
struct ValueLines {
    static let lineBytes = ValueBlock.count * 8

    private var values: [UInt64] = []

    /// A new line; its number.
    mutating func add() -> Int32 {
        let number = values.count / ValueBlock.count
        values.makeRoomGradually(for: values.count + ValueBlock.count)
        values.append(contentsOf: repeatElement(0, count: ValueBlock.count))
        return Int32(number)
    }

    /// Sets a value of a line.
    mutating func set(_ value: UInt64, at place: Int, of line: Int32) {
        values[Int(line) * ValueBlock.count + place] = value
    }

    /// Lends the values of a line.
    func withValues<Result>(of line: Int32, _ body: (UnsafeBufferPointer<UInt64>) -> Result) -> Result {
        values.withUnsafeBufferPointer { values in
            let start = Int(line) * ValueBlock.count
            return body(UnsafeBufferPointer(rebasing: values[start..<start + ValueBlock.count]))
        }
    }
}
