/// Owns a run of raw memory that grows on demand and is reused: the scratch space of readers and writers.
final class RawBuffer {
    private(set) var bytes: UnsafeMutableRawBufferPointer

    /// Memory of `capacity` bytes, not initialised.
    init(capacity: Int = 0) {
        bytes = .allocate(byteCount: capacity, alignment: 8)
    }

    deinit {
        bytes.deallocate()
    }

    /// Makes room for `capacity` bytes; what was in it is kept.
    func grow(to capacity: Int) {
        guard capacity > bytes.count else { return }
        let larger = UnsafeMutableRawBufferPointer.allocate(byteCount: capacity, alignment: 8)
        larger.copyMemory(from: UnsafeRawBufferPointer(bytes))
        bytes.deallocate()
        bytes = larger
    }

    /// Gives back what was grown beyond `capacity`; the content is lost.
    func shrink(to capacity: Int) {
        guard capacity < bytes.count else { return }
        bytes.deallocate()
        bytes = .allocate(byteCount: capacity, alignment: 8)
    }

    /// The bytes of `range`.
    subscript(range: Range<Int>) -> UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: bytes[range]) }
}

extension UnsafeRawBufferPointer {
    /// The little-endian integer at `offset`, which must lie within.
    func integer<Value: FixedWidthInteger>(at offset: Int, as type: Value.Type = Value.self) -> Value {
        Value(littleEndian: loadUnaligned(fromByteOffset: offset, as: Value.self))
    }
}

extension UnsafeMutableRawBufferPointer {
    /// Stores an integer at `offset` in little-endian order.
    func store<Value: FixedWidthInteger>(_ value: Value, at offset: Int) {
        storeBytes(of: value.littleEndian, toByteOffset: offset, as: Value.self)
    }
}
