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
            // A run at the end goes on: its byte is written again.
            let kept = endsInRun && !bytes.isEmpty ? 1 : 0
            if kept > 0 { space[0] = bytes[bytes.count - 1] }
            var writer = DifferenceWriter(space, behind: kept, endsInRun: kept > 0)
            for value in values {
                writer.put(value ^ last)
                last = value
            }
            endsInRun = writer.endsInRun
            if kept > 0 { bytes[bytes.count - 1] = space[0] }
            let added = writer.count - kept
            // There are as many of these as series: they must not double, and most of them hold a few runs only.
            let count = bytes.count + added
            if count > bytes.capacity { bytes.reserveCapacity(count + max(4, count / 8)) }
            bytes.append(contentsOf: UnsafeRawBufferPointer(rebasing: space[kept..<writer.count]))
            return added
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
