internal import Glibc
internal import Telemetry

/// Canonical labels one behind the other, in space that is large enough for all there can be.
struct LabelRun {
    private let space: UnsafeMutableRawBufferPointer
    private(set) var count = 0

    init(_ space: UnsafeMutableRawBufferPointer) {
        self.space = space
    }

    var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: space[..<count]) }

    /// Adds a pair.
    @inline(__always)
    mutating func append(_ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) {
        put(name)
        put(value)
    }

    /// Adds all pairs of `labels`.
    mutating func append(_ labels: Labels) {
        labels.encoded.withUnsafeBytes { copy($0) }
    }

    /// Takes back everything from `count` on.
    mutating func truncate(to count: Int) { self.count = count }

    /// Whether `left` comes before `right` in the order of their bytes.
    @inline(__always)
    static func precedes(_ left: UnsafeRawBufferPointer, _ right: UnsafeRawBufferPointer) -> Bool {
        guard let leftBase = left.baseAddress, let rightBase = right.baseAddress else {
            return left.count < right.count
        }
        let order = memcmp(leftBase, rightBase, min(left.count, right.count))
        return order == 0 ? left.count < right.count : order < 0
    }

    @inline(__always)
    private mutating func put(_ text: UnsafeRawBufferPointer) {
        var length = UInt64(text.count)
        repeat {
            space[count] = UInt8(length & 0x7f) | (length > 0x7f ? 0x80 : 0)
            length >>= 7
            count += 1
        } while length > 0
        copy(text)
    }

    @inline(__always)
    private mutating func copy(_ bytes: UnsafeRawBufferPointer) {
        UnsafeMutableRawBufferPointer(rebasing: space[count..<count + bytes.count]).copyMemory(from: bytes)
        count += bytes.count
    }
}
