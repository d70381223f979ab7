internal import Telemetry

/// The distinct names and values of a block, sorted by their bytes; a symbol is a place in this order.
struct SymbolTable: Sendable {
    /// All strings behind each other.
    private let text: [UInt8]
    /// Where each begins, and the end of the last.
    private let starts: [UInt32]

    /// The number of symbols.
    var count: Int { starts.count - 1 }

    /// The bytes of memory held.
    var memoryBytes: Int { text.count + starts.count * 4 }

    /// The string of a symbol, which must be below `count`.
    func string(_ symbol: Int) -> String {
        String(decoding: text[Int(starts[symbol])..<Int(starts[symbol + 1])], as: UTF8.self)
    }

    /// Calls `body` with the bytes of a symbol.
    func withBytes<Value>(_ symbol: Int, _ body: (UnsafeRawBufferPointer) -> Value) -> Value {
        text.withUnsafeBytes {
            body(UnsafeRawBufferPointer(rebasing: $0[Int(starts[symbol])..<Int(starts[symbol + 1])]))
        }
    }

    /// The symbols of the strings that begin with a text.
    func symbols(prefix: String) -> Range<Int> {
        var prefix = prefix
        return prefix.withUTF8 { wanted in
            func first(from low: Int, where isReached: (UnsafeRawBufferPointer) -> Bool) -> Int {
                var (low, high) = (low, count)
                while low < high {
                    let middle = (low + high) / 2
                    if withBytes(middle, isReached) { high = middle } else { low = middle + 1 }
                }
                return low
            }
            let start = first(from: 0) { !$0.lexicographicallyPrecedes(wanted) }
            return start..<first(from: start) { !$0.starts(with: wanted) }
        }
    }

    /// The symbol of a string, nil when the block does not have it.
    func symbol(_ string: String) -> Int? {
        var string = string
        return string.withUTF8 { wanted in
            var low = 0
            var high = count
            while low < high {
                let middle = (low + high) / 2
                let isBelow = withBytes(middle) { $0.lexicographicallyPrecedes(wanted) }
                if isBelow { low = middle + 1 } else { high = middle }
            }
            guard low < count, withBytes(low, { $0.elementsEqual(wanted) }) else { return nil }
            return low
        }
    }

    /// Appends the strings, which must be sorted by their bytes: shared prefix, rest.
    static func encode(_ sorted: [String], into writer: inout ByteWriter) {
        writer.putVarint(UInt64(sorted.count))
        var previous: [UInt8] = []
        for string in sorted {
            let bytes = Array(string.utf8)
            let shared = zip(previous, bytes).prefix { $0 == $1 }.count
            writer.putVarint(UInt64(shared))
            writer.putPrefixed(Array(bytes[shared...]))
            previous = bytes
        }
    }

    /// Reads what `encode` wrote; strings that are not rising are damage.
    init(from reader: inout ByteReader) throws(ByteError) {
        let count = try reader.count(upTo: reader.remaining, "symbols")
        var text: [UInt8] = []
        text.reserveCapacity(reader.remaining)
        var starts: [UInt32] = [0]
        starts.reserveCapacity(count + 1)
        var previous = 0..<0
        for index in 0..<count {
            let place = reader.offset
            let shared = try reader.count(upTo: previous.count, "shared prefix")
            let rest = try reader.prefixed()
            let start = text.count
            for offset in previous.prefix(shared) { text.append(text[offset]) }
            text.append(contentsOf: rest)
            guard text.count <= Int(UInt32.max) else {
                throw ByteError(offset: place, reason: "symbols take more than 4 GiB")
            }
            if index > 0, !text[previous].lexicographicallyPrecedes(text[start...]) {
                throw ByteError(offset: place, reason: "symbol \(index) is not above the one before")
            }
            previous = start..<text.count
            starts.append(UInt32(text.count))
        }
        self.text = text
        self.starts = starts
    }
}
