internal import Telemetry

/// Values of one series in the head, in the order of arrival, compressed as they come: each is XORed with the one
/// before and written as `DifferenceCode` says. A tenth of plain doubles where little changes, a third where much does.
struct ValueStream {
    private var bytes: [UInt8] = []
    private var last: UInt64 = 0
    private var endsInRun = false

    /// Adds values; returns how many bytes more are held.
    mutating func append(_ values: UnsafeBufferPointer<UInt64>) -> Int {
        withUnsafeTemporaryAllocation(
            byteCount: DifferenceWriter.bytesMaximum(count: values.count) + 1, alignment: 8
        ) { space in
            // A run at the end goes on: it is written again.
            let goesOn = endsInRun && values.first == last
            if goesOn, let run = bytes.popLast() { space[0] = run }
            var writer = DifferenceWriter(space, behind: goesOn ? 1 : 0, endsInRun: goesOn)
            for value in values {
                writer.put(value ^ last)
                last = value
            }
            endsInRun = writer.endsInRun
            bytes.append(contentsOf: UnsafeRawBufferPointer(rebasing: space[..<writer.count]))
            return writer.count - (goesOn ? 1 : 0)
        }
    }

    /// Writes the first `values.count` values, of which there must be as many.
    func read(into values: UnsafeMutableBufferPointer<UInt64>) {
        bytes.withUnsafeBytes { bytes in
            var reader = DifferenceReader(bytes)
            _ = reader.read(into: values)
        }
        var last: UInt64 = 0
        for index in values.indices {
            last ^= values[index]
            values[index] = last
        }
    }
}
