/// Bytes with eight zeros in front and behind, which kernels may read a whole word at a time without looking where
/// the bytes end.
struct PaddedBytes {
    static let padding = 8
    private var storage: [UInt8]

    /// No bytes yet, room for `capacity`.
    init(capacity: Int) {
        storage = []
        storage.reserveCapacity(capacity + 2 * Self.padding)
        storage.append(contentsOf: repeatElement(0, count: Self.padding))
    }

    /// A copy of `bytes`.
    init(_ bytes: some Collection<UInt8>) {
        self.init(capacity: bytes.count)
        storage.append(contentsOf: bytes)
    }

    /// Adds bytes.
    mutating func append(_ bytes: ArraySlice<UInt8>) { storage.append(contentsOf: bytes) }

    /// Runs a parser over the bytes; its typed error passes through.
    mutating func parse<Value, Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Value
    ) throws(Failure) -> Value {
        let count = storage.count - Self.padding
        storage.append(contentsOf: repeatElement(0, count: Self.padding))
        defer { storage.removeLast(Self.padding) }
        return try storage.withUnsafeBufferPointer { buffer throws(Failure) in
            let all = UnsafeRawBufferPointer(buffer)
            return try body(UnsafeRawBufferPointer(rebasing: all[Self.padding..<Self.padding + count]))
        }
    }
}
