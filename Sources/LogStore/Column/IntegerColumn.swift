/// Restored integers, held as narrow as they are stored: a block's columns of them are most of what a search keeps in
/// memory.
struct IntegerColumn: Sendable {
    /// How the values are held.
    enum Storage: Sendable {
        case constant(Int64)
        case wide([Int64])
        /// Sums of a value's bytes, the lowest plane first, above the smallest value.
        case planes(low: Int64, [[UInt8]])
        case dictionary([Int64], [UInt8])
    }

    let storage: Storage
    let count: Int

    /// Values held this way; planes and indexes have `count` bytes each.
    init(_ storage: Storage, count: Int) {
        self.storage = storage
        self.count = count
    }

    /// These values, in planes where that is narrower.
    init(narrowing values: [Int64]) {
        count = values.count
        guard let low = values.min(), let high = values.max() else {
            storage = .constant(0)
            return
        }
        let planes = IntegerCoding.planes(high &- low)
        guard planes <= 4 else {
            storage = .wide(values)
            return
        }
        storage = .planes(
            low: low,
            (0..<planes).map { plane in
                values.map { UInt8(truncatingIfNeeded: UInt64(bitPattern: $0 &- low) >> UInt64(plane * 8)) }
            })
    }

    /// How many values are widened at a time.
    static let chunkCount = 1024

    /// About how much memory the values take.
    var memoryBytes: Int {
        switch storage {
        case .constant: 0
        case .wide: count * 8
        case .planes(_, let planes): count * planes.count
        case .dictionary(let distinct, _): count + distinct.count * 8
        }
    }

    /// One value.
    subscript(index: Int) -> Int64 {
        switch storage {
        case .constant(let value): return value
        case .wide(let values): return values[index]
        case .planes(let low, let planes):
            var value: UInt64 = 0
            for plane in planes.indices { value |= UInt64(planes[plane][index]) << UInt64(plane * 8) }
            return Int64(bitPattern: value) &+ low
        case .dictionary(let distinct, let indexes): return distinct[Int(indexes[index])]
        }
    }

    /// All values.
    var values: [Int64] {
        [Int64](unsafeUninitializedCapacity: count) { target, written in
            if let base = target.baseAddress { widen(0..<count, to: base) }
            written = count
        }
    }

    /// Calls `body` with the values of `range`, some at a time, and the index of the first of them.
    func forEachChunk(_ range: Range<Int>, _ body: (UnsafeBufferPointer<Int64>, Int) -> Void) {
        withUnsafeTemporaryAllocation(of: Int64.self, capacity: IntegerColumn.chunkCount) { buffer in
            guard let base = buffer.baseAddress else { return }
            var start = range.lowerBound
            while start < range.upperBound {
                let end = min(range.upperBound, start + IntegerColumn.chunkCount)
                widen(start..<end, to: base)
                body(UnsafeBufferPointer(start: base, count: end - start), start)
                start = end
            }
        }
    }

    /// Calls `body` with the index of each value of `range` that `test` is true for, rising. Values are looked at as
    /// they are held: one that all have, or each of a dictionary, once.
    @inline(__always)
    func forEachIndex(_ range: Range<Int>, where test: (Int64) -> Bool, _ body: (Int) -> Void) {
        switch storage {
        case .constant(let value):
            if test(value) { for index in range { body(index) } }
        case .dictionary(let distinct, let indexes):
            let isWanted = distinct.map { test($0) }
            guard isWanted.contains(true) else { return }
            indexes.withUnsafeBufferPointer { indexes in
                isWanted.withUnsafeBufferPointer { isWanted in
                    for index in range where isWanted[Int(indexes[index])] { body(index) }
                }
            }
        case .planes(let low, let planes) where planes.count == 1:
            let isWanted = (0..<256).map { test(low &+ Int64($0)) }
            guard isWanted.contains(true) else { return }
            planes[0].withUnsafeBufferPointer { plane in
                isWanted.withUnsafeBufferPointer { isWanted in
                    for index in range where isWanted[Int(plane[index])] { body(index) }
                }
            }
        case .planes(let low, let planes) where planes.count == 2:
            planes[0].withUnsafeBufferPointer { first in
                planes[1].withUnsafeBufferPointer { second in
                    for index in range where test(low &+ (Int64(first[index]) | Int64(second[index]) << 8)) {
                        body(index)
                    }
                }
            }
        case .planes(let low, let planes) where planes.count == 3:
            planes[0].withUnsafeBufferPointer { first in
                planes[1].withUnsafeBufferPointer { second in
                    planes[2].withUnsafeBufferPointer { third in
                        for index in range {
                            let value = Int64(first[index]) | Int64(second[index]) << 8 | Int64(third[index]) << 16
                            if test(low &+ value) { body(index) }
                        }
                    }
                }
            }
        case .planes, .wide:
            forEachChunk(range) { chunk, first in
                for index in chunk.indices where test(chunk[index]) { body(first + index) }
            }
        }
    }

    private func widen(_ range: Range<Int>, to target: UnsafeMutablePointer<Int64>) {
        let first = range.lowerBound
        let count = range.count
        switch storage {
        case .constant(let value): target.update(repeating: value, count: count)
        case .wide(let values):
            values.withUnsafeBufferPointer { for index in 0..<count { target[index] = $0[first + index] } }
        case .planes(let low, let planes):
            planes[0].withUnsafeBufferPointer { plane in
                for index in 0..<count { target[index] = Int64(plane[first + index]) }
            }
            for number in planes.indices.dropFirst() {
                let shift = UInt64(number * 8)
                planes[number].withUnsafeBufferPointer { plane in
                    for index in 0..<count { target[index] |= Int64(bitPattern: UInt64(plane[first + index]) << shift) }
                }
            }
            if low != 0 { for index in 0..<count { target[index] &+= low } }
        case .dictionary(let distinct, let indexes):
            indexes.withUnsafeBufferPointer { indexes in
                distinct.withUnsafeBufferPointer { distinct in
                    for index in 0..<count { target[index] = distinct[Int(indexes[first + index])] }
                }
            }
        }
    }
}

/// Points in time that are stored as distances to the lines' own times.
struct TimestampColumn: Sendable {
    let offsets: IntegerColumn
    /// The times of all lines of the block.
    let times: [Int64]
    /// The lines that have the column; nil when all have it.
    let rows: ArraySlice<Int32>?
    let unitNanoseconds: Int64

    /// The number of values.
    var count: Int { offsets.count }

    /// Units since 1970.
    subscript(index: Int) -> Int64 {
        offsets[index] &+ ValueParsing.floor(times[row(index)], unitNanoseconds)
    }

    @inline(__always)
    private func restore(
        _ offsets: UnsafeBufferPointer<Int64>, _ first: Int, _ target: UnsafeMutableBufferPointer<Int64>, unit: Int64
    ) {
        times.withUnsafeBufferPointer { times in
            guard let rows else {
                for index in offsets.indices {
                    target[index] = offsets[index] &+ ValueParsing.floor(times[first + index], unit)
                }
                return
            }
            rows.withUnsafeBufferPointer { rows in
                for index in offsets.indices {
                    target[index] = offsets[index] &+ ValueParsing.floor(times[Int(rows[first + index])], unit)
                }
            }
        }
    }

    private func row(_ index: Int) -> Int {
        guard let rows else { return index }
        return Int(rows[rows.startIndex + index])
    }

    /// Calls `body` with the values of `range`, some at a time, and the index of the first of them.
    func forEachChunk(_ range: Range<Int>, _ body: (UnsafeBufferPointer<Int64>, Int) -> Void) {
        withUnsafeTemporaryAllocation(of: Int64.self, capacity: IntegerColumn.chunkCount) { buffer in
            offsets.forEachChunk(range) { offsets, first in
                // A division by a number that is known here is a multiplication.
                switch unitNanoseconds {
                case 1_000_000_000: restore(offsets, first, buffer, unit: 1_000_000_000)
                case 1_000_000: restore(offsets, first, buffer, unit: 1_000_000)
                case 1000: restore(offsets, first, buffer, unit: 1000)
                default: restore(offsets, first, buffer, unit: unitNanoseconds)
                }
                body(UnsafeBufferPointer(rebasing: buffer[..<offsets.count]), first)
            }
        }
    }
}
