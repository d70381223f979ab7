/// Times as they stand in an answer: the series of a range have the same ones, so each is put into words once.
struct WrittenTimes: Sendable {
    private(set) var times: [Int64] = []
    private(set) var bytes: [UInt8] = []
    /// Where the text of each ends.
    private(set) var ends: [Int] = []

    /// Makes them these; nothing to do where they are already.
    mutating func become(_ times: [Int64]) {
        if times == self.times { return }
        self.times = times
        bytes.removeAll(keepingCapacity: true)
        ends.removeAll(keepingCapacity: true)
        for time in times {
            bytes.append(UInt8(ascii: ","))
            bytes.append(UInt8(ascii: "["))
            Timestamps.appendSeconds(milliseconds: time, to: &bytes)
            bytes.append(UInt8(ascii: ","))
            bytes.append(UInt8(ascii: "\""))
            ends.append(bytes.count)
        }
    }
}

extension JSONWriter {
    /// Writes samples as Prometheus' API does, each an array of its time and its value: the elements of an array.
    package mutating func samples(_ times: [Int64], _ values: [Double]) {
        guard !times.isEmpty else { return }
        separate()
        writtenTimes.become(times)
        let written = writtenTimes
        output.withBuffer { buffer in
            written.bytes.withUnsafeBufferPointer { text in
                var start = 1
                for (end, value) in zip(written.ends, values) {
                    buffer.append(contentsOf: UnsafeBufferPointer(rebasing: text[start..<end]))
                    FloatText.appendAnswer(value, to: &buffer)
                    buffer.append(UInt8(ascii: "\""))
                    buffer.append(UInt8(ascii: "]"))
                    start = end
                }
            }
        }
        needsComma = true
    }

    /// Writes labels as an object of strings in one piece; false, and nothing written, where a character is to be
    /// escaped.
    mutating func putPlain(_ labels: Labels) -> Bool {
        // A name or value takes its length before it there, quotes and a separator here.
        let bytesMaximum = labels.encoded.count * 3 + 2
        guard bytesMaximum <= 8 << 10 else { return false }
        return withUnsafeTemporaryAllocation(of: UInt8.self, capacity: bytesMaximum) { text in
            var end = 0
            func put(_ byte: UInt8) {
                text[end] = byte
                end += 1
            }
            func put(quoted bytes: UnsafeRawBufferPointer) {
                put(UInt8(ascii: "\""))
                UnsafeMutableRawBufferPointer(UnsafeMutableBufferPointer(rebasing: text[end...])).copyMemory(
                    from: bytes)
                end += bytes.count
                put(UInt8(ascii: "\""))
            }
            var isPlain = true
            put(UInt8(ascii: "{"))
            labels.forEachPair { name, value in
                isPlain = isPlain && JSONWriter.isPlain(name) && JSONWriter.isPlain(value)
                guard isPlain else { return }
                if end > 1 { put(UInt8(ascii: ",")) }
                put(quoted: name)
                put(UInt8(ascii: ":"))
                put(quoted: value)
            }
            put(UInt8(ascii: "}"))
            guard isPlain else { return false }
            separate()
            output.put(UnsafeRawBufferPointer(UnsafeBufferPointer(rebasing: text[..<end])))
            needsComma = true
            return true
        }
    }
}
