internal import CKernels
internal import Telemetry

/// Encodes the columns of one strip, one after the other, each with the smallest codec that gives every bit pattern
/// back: NaN payloads, minus zero, infinities and subnormal numbers included.
struct FloatColumnEncoder {
    /// So many columns back a reference may lie.
    static let referenceWindow = 32
    /// A column refers to one that refers to one … so often at most: each must be decoded first.
    static let referenceDepth = 4

    /// An encoded column.
    struct Encoded {
        var header: FloatColumn
        var body: [UInt8]
        /// The integers, where the column has some and no exception or correction: figures about them are exact.
        var exactIntegers: [Int64]?
        /// What later columns may refer to.
        fileprivate var candidate: Candidate?

        /// About the bytes in all.
        fileprivate var byteCount: Int { body.count + VarintSize.signed(header.first) }
    }

    /// A column that later ones may refer to.
    fileprivate struct Candidate {
        var index: Int
        /// Columns of one shape have the same rows.
        var shape: Int
        var depth: Int
        var integers: [Int64]
    }

    private let isSealed: Bool
    private var window: [Candidate] = []

    /// An encoder for a strip; `isSealed` allows codes that are small but slow to read.
    init(isSealed: Bool) {
        self.isSealed = isSealed
    }

    /// Encodes bit patterns, of which there must be at least one, as column `index`; `shape` tells which rows it has.
    mutating func encode(_ bits: [UInt64], index: Int, shape: Int) -> Encoded {
        let best = choices(bits, index: index, shape: shape).min { $0.byteCount < $1.byteCount } ?? fallback(bits)
        window.removeAll { $0.index + Self.referenceWindow <= index }
        if let candidate = best.candidate { window.append(candidate) }
        return best
    }

    private func choices(_ bits: [UInt64], index: Int, shape: Int) -> [Encoded] {
        let scaled = ScaledColumn(bits).map { encode($0, index: index, shape: shape) }
        // What hardly shrinks as integers may shrink more otherwise.
        if let scaled, scaled.body.count * 10 <= bits.count * 8 * 6 { return [scaled] }
        let patterns = encode(ScaledColumn(patterns: bits), index: index, shape: shape)
        let corrected = ScaledColumn(correcting: bits).map { encode($0, index: index, shape: shape) }
        return [scaled, corrected, patterns].compactMap { $0 } + [fallback(bits)]
    }

    private func fallback(_ bits: [UInt64]) -> Encoded {
        let packed = XORColumn.encode(bits[...])
        if packed.count < bits.count * 8 {
            return Encoded(header: FloatColumn(scaling: ColumnScaling(operation: .xor)), body: packed)
        }
        var writer = ByteWriter(capacity: bits.count * 8)
        for value in bits { writer.putFixed(value) }
        return Encoded(header: FloatColumn(scaling: ColumnScaling(operation: .raw)), body: writer.bytes)
    }

    /// A transform with its residuals, and about how many bits those take.
    private struct Choice {
        var transform: FloatColumn.Transform
        var distance = 0
        var depth = 0
        var residuals: [Int64]
        var slope: Int64
        var estimate: Float
    }

    private func encode(_ scaled: ScaledColumn, index: Int, shape: Int) -> Encoded {
        var choices = plainChoices(scaled.integers)
        let differences = choices.first { $0.transform == .differences }?.estimate ?? 0
        choices += referenceChoices(scaled.integers, index: index, shape: shape, below: differences)
        choices.sort { $0.estimate < $1.estimate }
        var best: (choice: Choice, plan: ResidualColumn.Plan)?
        for choice in choices.prefix(2) {
            let plan = choice.residuals.withUnsafeBufferPointer { ResidualColumn.plan($0, isSealed: isSealed) }
            if plan.byteCount < best?.plan.byteCount ?? .max { best = (choice, plan) }
        }
        guard let (choice, plan) = best else { return fallback([]) }
        var header = FloatColumn(scaling: scaled.scaling)
        header.transform = choice.transform
        header.residuals = plan.kind
        header.hasExceptions = !scaled.exceptions.isEmpty
        (header.first, header.divisor) = (scaled.first, scaled.divisor)
        header.referenceDistance = choice.distance
        let body = body(of: scaled, choice, plan)
        let isExact = scaled.exceptions.isEmpty && scaled.scaling.operation.isExact
        return Encoded(
            header: header, body: body, exactIntegers: isExact ? scaled.integers : nil,
            candidate: Candidate(index: index, shape: shape, depth: choice.depth, integers: scaled.integers))
    }

    private func plainChoices(_ integers: [Int64]) -> [Choice] {
        let transforms: [FloatColumn.Transform] =
            integers.count > 2 ? [.offsets, .differences, .secondDifferences] : [.offsets, .differences]
        return transforms.map { transform in choice(integers, transform, reference: []) }
    }

    private func choice(
        _ integers: [Int64], _ transform: FloatColumn.Transform, reference: [Int64]
    ) -> Choice {
        let (residuals, slope) = IntegerTransform.residuals(integers, transform, reference: reference)
        let estimate = residuals.withUnsafeBufferPointer { residuals in
            withUnsafeTemporaryAllocation(of: UInt32.self, capacity: ResidualEstimate.classCount) { counts in
                counts.baseAddress.map {
                    ResidualEstimate.bits(residuals, centre: ResidualEstimate.middle(residuals), counts: $0)
                } ?? 0
            }
        }
        return Choice(transform: transform, residuals: residuals, slope: slope, estimate: estimate)
    }

    /// The two columns nearby whose differences are most alike.
    private func referenceChoices(
        _ integers: [Int64], index: Int, shape: Int, below limit: Float
    ) -> [Choice] {
        var likely: [(bits: UInt64, candidate: Candidate)] = []
        for candidate in window where candidate.shape == shape && candidate.depth < Self.referenceDepth {
            let bits = integers.withUnsafeBufferPointer { integers in
                candidate.integers.withUnsafeBufferPointer { other in
                    vedette_difference_bits(integers.baseAddress, other.baseAddress, integers.count, 4)
                }
            }
            likely.append((bits, candidate))
        }
        likely.sort { $0.bits < $1.bits }
        return likely.prefix(2).map { one in
            var choice = choice(integers, .reference, reference: one.candidate.integers)
            choice.distance = index - one.candidate.index
            choice.depth = one.candidate.depth + 1
            // The distance costs a byte.
            choice.estimate += 8
            return choice
        }.filter { $0.estimate < limit }
    }

    private func body(of scaled: ScaledColumn, _ choice: Choice, _ plan: ResidualColumn.Plan) -> [UInt8] {
        var writer = ByteWriter(capacity: plan.byteCount + 32)
        if !scaled.exceptions.isEmpty { ValueException.encode(scaled.exceptions, into: &writer) }
        if scaled.corrections.isEmpty {
            Self.write(choice, plan, into: &writer)
        } else {
            var main = ByteWriter(capacity: plan.byteCount + 16)
            Self.write(choice, plan, into: &main)
            writer.putPrefixed(main.bytes)
            scaled.corrections.withUnsafeBufferPointer { corrections in
                let plan = ResidualColumn.plan(corrections, isSealed: isSealed)
                writer.put(plan.kind.rawValue)
                ResidualColumn.write(corrections, plan, into: &writer)
            }
        }
        return writer.bytes
    }

    private static func write(_ choice: Choice, _ plan: ResidualColumn.Plan, into writer: inout ByteWriter) {
        if choice.transform == .secondDifferences { writer.putSigned(choice.slope) }
        choice.residuals.withUnsafeBufferPointer { ResidualColumn.write($0, plan, into: &writer) }
    }
}
