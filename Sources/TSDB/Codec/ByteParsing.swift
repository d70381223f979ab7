internal import Telemetry

/// Parsing of bytes that are held in an array, as sections and bodies of a block are.
extension [UInt8] {
    /// Runs a parser over these bytes; its typed error passes through.
    func parse<Value>(
        _ body: (UnsafeRawBufferPointer) throws(ByteError) -> Value
    ) throws(ByteError) -> Value {
        try withUnsafeBufferPointer { buffer throws(ByteError) in try body(UnsafeRawBufferPointer(buffer)) }
    }
}
