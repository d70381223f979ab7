internal import Telemetry

extension [UInt8] {
    /// Runs a parser over these bytes; its typed error passes through.
    func parse<Value>(
        _ body: (UnsafeRawBufferPointer) throws(ByteError) -> Value
    ) throws(ByteError) -> Value {
        try withUnsafeBufferPointer { buffer throws(ByteError) in try body(UnsafeRawBufferPointer(buffer)) }
    }
}
