internal import Telemetry

/// A stored column of integers: what is known of it without its planes, and the planes.
struct StoredIntegers: Sendable {
    /// How the values come about.
    enum Form: Sendable {
        case constant(Int64)
        case few([Int64])
        case offsets(low: Int64, high: Int64, [StoredArray])
        case deltas(first: Int64, low: Int64, [StoredArray])
        case dictionary([Int64], StoredArray)
    }

    let form: Form
    let count: Int

    /// Reads the description of a column of `count` values.
    init(_ reader: inout ColumnReader, count: Int) throws {
        self.count = count
        guard count > 0 else {
            form = .constant(0)
            return
        }
        let code = try reader.bytes.byte()
        guard let kind = IntegerCoding.Form(rawValue: code) else { throw FormatError("integers have the form \(code)") }
        switch kind {
        case .constant: form = .constant(try reader.bytes.signed())
        case .few:
            guard count <= IntegerCoding.fewMaximum else { throw FormatError("too many integers without planes") }
            var values: [Int64] = []
            for _ in 0..<count { values.append(try reader.bytes.signed()) }
            form = .few(values)
        case .offsets:
            let low = try reader.bytes.signed()
            let high = try reader.bytes.signed()
            guard low <= high else { throw FormatError("the bounds of integers are not in order") }
            form = .offsets(
                low: low, high: high, try StoredIntegers.planes(&reader, IntegerCoding.planes(high &- low), count))
        case .deltas:
            let first = try reader.bytes.signed()
            let low = try reader.bytes.signed()
            let planes = Int(try reader.bytes.byte())
            guard (1...8).contains(planes) else { throw FormatError("integers have \(planes) planes") }
            form = .deltas(first: first, low: low, try StoredIntegers.planes(&reader, planes, count))
        case .dictionary:
            let distinct = try reader.bytes.count(upTo: IntegerCoding.dictionaryMaximum, "number of distinct integers")
            var values: [Int64] = []
            for _ in 0..<distinct { values.append(try reader.bytes.signed()) }
            let low = try reader.bytes.signed()
            form = .dictionary(values.map { $0 &+ low }, try reader.array(count))
        }
    }

    private static func planes(_ reader: inout ColumnReader, _ planes: Int, _ count: Int) throws -> [StoredArray] {
        var arrays: [StoredArray] = []
        for _ in 0..<planes { arrays.append(try reader.array(count)) }
        return arrays
    }

    /// The smallest and the largest value where they are known without restoring anything.
    var bounds: ClosedRange<Int64>? {
        switch form {
        case .constant(let value): value...value
        case .few(let values): StoredIntegers.span(values)
        case .offsets(let low, let high, _): low...high
        case .deltas: nil
        case .dictionary(let values, _): StoredIntegers.span(values)
        }
    }

    private static func span(_ values: [Int64]) -> ClosedRange<Int64>? {
        guard let low = values.min(), let high = values.max() else { return nil }
        return low...high
    }

    /// Restores the values.
    func values(_ source: BlockSource) throws -> [Int64] {
        guard case .deltas(let first, let low, let planes) = form else { return try column(source).values }
        var values = IntegerColumn(.planes(low: low, try planes.map { try source.bytes($0) }), count: count).values
        values.withUnsafeMutableBufferPointer { values in
            values[0] = first
            for index in 1..<values.count { values[index] = values[index] &+ values[index - 1] }
        }
        return values
    }

    /// Restores the values, as narrow as they are stored.
    func column(_ source: BlockSource) throws -> IntegerColumn {
        switch form {
        case .constant(let value): return IntegerColumn(.constant(value), count: count)
        case .few(let values): return IntegerColumn(.wide(values), count: count)
        case .offsets(let low, _, let planes):
            return IntegerColumn(.planes(low: low, try planes.map { try source.bytes($0) }), count: count)
        case .deltas: return IntegerColumn(narrowing: try values(source))
        case .dictionary(let distinct, let indexes):
            let bytes = try source.bytes(indexes)
            guard Int(bytes.max() ?? 0) < distinct.count else {
                throw FormatError("an integer is not in its dictionary")
            }
            return IntegerColumn(.dictionary(distinct, bytes), count: count)
        }
    }
}
