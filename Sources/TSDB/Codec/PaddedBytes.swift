internal import Telemetry

/// Bytes with 32 others in front and behind, so that kernels may read a whole vector at a time without looking where
/// the bytes end. Slices share the memory.
struct PaddedBytes: Sendable {
    static let padding = 32
    private let storage: [UInt8]
    private let range: Range<Int>

    /// A copy of `bytes`.
    init(_ bytes: some Collection<UInt8>) {
        self.init(joining: CollectionOfOne(bytes))
    }

    /// A copy of pieces behind each other.
    init(joining pieces: some Collection<some Collection<UInt8>>) {
        let count = pieces.reduce(0) { $0 + $1.count }
        var storage: [UInt8] = []
        storage.reserveCapacity(count + 2 * Self.padding)
        storage.append(contentsOf: repeatElement(0, count: Self.padding))
        for piece in pieces { storage.append(contentsOf: piece) }
        storage.append(contentsOf: repeatElement(0, count: Self.padding))
        self.storage = storage
        range = Self.padding..<Self.padding + count
    }

    private init(storage: [UInt8], range: Range<Int>) {
        (self.storage, self.range) = (storage, range)
    }

    /// The number of bytes.
    var count: Int { range.count }

    /// Some of the bytes, which must exist; their neighbours pad them.
    func slice(_ part: Range<Int>) -> PaddedBytes {
        PaddedBytes(storage: storage, range: range.lowerBound + part.lowerBound..<range.lowerBound + part.upperBound)
    }

    /// The bytes as they are.
    var bytes: ArraySlice<UInt8> { storage[range] }

    /// Runs a parser over the bytes; its typed error passes through.
    func parse<Value, Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Value
    ) throws(Failure) -> Value {
        try storage.withUnsafeBufferPointer { buffer throws(Failure) in
            try body(UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(buffer)[range]))
        }
    }
}
