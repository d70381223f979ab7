internal import Disk

/// An immutable object in memory.
struct MemoryObject: ObjectReader {
    let bytes: [UInt8]
    var path: String { "memory" }

    func size() throws(StorageError) -> UInt64 { UInt64(bytes.count) }

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(StorageError) {
        guard offset <= UInt64(bytes.count), buffer.count <= bytes.count - Int(offset) else {
            throw StorageError(.inputOutput, operation: "read", path: path, detail: "behind the end")
        }
        buffer.copyBytes(from: bytes[Int(offset)..<Int(offset) + buffer.count])
    }
}
