internal import Glibc

/// Collects names and values in any order and makes labels of them, without a string per name. Keeps its memory, so one
/// builder serves a whole scrape.
package struct LabelsBuilder: Sendable {
    /// Where a pair lies in `bytes`.
    private struct Pair {
        var start: Int
        var nameEnd: Int
        var end: Int
    }

    private var bytes: [UInt8] = []
    private var pairs: [Pair] = []

    /// A builder without pairs.
    package init() {}

    /// The number of pairs added, repeated ones and empty values counted too.
    package var count: Int { pairs.count }

    /// Adds a pair of UTF-8 text.
    package mutating func add(_ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) {
        let start = bytes.count
        bytes.append(contentsOf: name)
        let nameEnd = bytes.count
        bytes.append(contentsOf: value)
        pairs.append(Pair(start: start, nameEnd: nameEnd, end: bytes.count))
    }

    /// Adds a pair.
    package mutating func add(_ name: String, _ value: String) {
        var name = name
        var value = value
        name.withUTF8 { name in
            value.withUTF8 { add(UnsafeRawBufferPointer(name), UnsafeRawBufferPointer($0)) }
        }
    }

    /// The labels of the pairs added since the last call. Of repeated names the last one counts; pairs with an empty
    /// name or value are dropped.
    package mutating func build() -> Labels { build(repeated: nil, keepsEmptyValues: false) }

    /// As `build`, but empty values are kept: for structured metadata and the labels of LogQL's stages.
    package mutating func buildKeepingEmptyValues() -> Labels { build(repeated: nil, keepsEmptyValues: true) }

    /// As `build`, but nil when a name was added twice.
    package mutating func buildWithoutRepetition() -> Labels? {
        var isRepeated = false
        let labels = build(repeated: { isRepeated = true }, keepsEmptyValues: false)
        return isRepeated ? nil : labels
    }

    private mutating func build(repeated: (() -> Void)?, keepsEmptyValues: Bool) -> Labels {
        defer {
            bytes.removeAll(keepingCapacity: true)
            pairs.removeAll(keepingCapacity: true)
        }
        sort()
        var writer = ByteWriter(capacity: bytes.count + 2 * pairs.count)
        bytes.withUnsafeBytes { raw in
            for (index, pair) in pairs.enumerated() {
                if index + 1 < pairs.count, LabelsBuilder.order(pair, pairs[index + 1], in: raw) == 0 {
                    repeated?()
                    continue
                }
                if pair.nameEnd == pair.start || !keepsEmptyValues && pair.end == pair.nameEnd { continue }
                writer.putPrefixed(UnsafeRawBufferPointer(rebasing: raw[pair.start..<pair.nameEnd]))
                writer.putPrefixed(UnsafeRawBufferPointer(rebasing: raw[pair.nameEnd..<pair.end]))
            }
        }
        return Labels(canonical: writer.bytes)
    }

    /// Orders by the bytes of the names, equal names by arrival: an insertion sort, since there are few and most
    /// senders send them in order; many are sorted by the library.
    private mutating func sort() {
        let raw = bytes
        raw.withUnsafeBytes { raw in
            if pairs.count > 64 {
                pairs.sort { left, right in
                    let order = LabelsBuilder.order(left, right, in: raw)
                    return order < 0 || order == 0 && left.start < right.start
                }
                return
            }
            var sorted = 1
            while sorted < pairs.count {
                let pair = pairs[sorted]
                var place = sorted
                while place > 0, LabelsBuilder.order(pairs[place - 1], pair, in: raw) > 0 {
                    pairs[place] = pairs[place - 1]
                    place -= 1
                }
                pairs[place] = pair
                sorted += 1
            }
        }
    }

    /// Below zero where the name of `left` comes before that of `right`.
    private static func order(_ left: Pair, _ right: Pair, in raw: UnsafeRawBufferPointer) -> Int {
        let leftCount = left.nameEnd - left.start
        let rightCount = right.nameEnd - right.start
        guard leftCount > 0, rightCount > 0, let base = raw.baseAddress else { return leftCount - rightCount }
        let order = memcmp(base + left.start, base + right.start, min(leftCount, rightCount))
        return order == 0 ? leftCount - rightCount : Int(order)
    }
}
