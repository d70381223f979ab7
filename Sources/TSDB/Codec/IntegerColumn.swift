internal import Telemetry

/// Encodes a column of integers as its values, its differences, or the differences of those, whichever is smallest.
///
/// Timestamps and start times pass through here. The count is kept by the caller. Arithmetic wraps, so every column of
/// 64-bit integers comes back as it was. docs/formats/metric-block.md has the layout.
enum IntegerColumn {
    /// Appends `values`, of which there must be at least one. `isSealed` allows codes that are slow to read.
    static func encode(_ values: [Int64], isSealed: Bool = true, into writer: inout ByteWriter) {
        let first = values.first ?? 0
        let offsets = values.map { $0 &- first }
        var best: (bytes: ByteWriter, count: Int)?
        for transform in [FloatColumn.Transform.differences, .secondDifferences, .offsets] {
            if transform == .secondDifferences, values.count < 3 { continue }
            let (residuals, slope) = IntegerTransform.residuals(offsets, transform, reference: [])
            var candidate = ByteWriter()
            residuals.withUnsafeBufferPointer { residuals in
                let plan = ResidualColumn.plan(residuals, isSealed: isSealed)
                candidate.put(transform.rawValue | plan.kind.rawValue << 2)
                candidate.putSigned(first)
                if transform == .secondDifferences { candidate.putSigned(slope) }
                var body = ByteWriter(capacity: plan.byteCount)
                ResidualColumn.write(residuals, plan, into: &body)
                if plan.kind == .entropy { candidate.putVarint(UInt64(body.count)) }
                candidate.put(body.bytes)
            }
            if candidate.count < best?.count ?? .max { best = (candidate, candidate.count) }
        }
        if let best { writer.put(best.bytes.bytes) }
    }

    /// Reads `count` values that `encode` wrote, from a padded buffer.
    static func decode(count: Int, from reader: inout ByteReader) throws(ByteError) -> [Int64] {
        guard count > 0 else { return [] }
        let place = reader.offset
        let head = try reader.byte()
        guard let transform = FloatColumn.Transform(rawValue: head & 3), transform != .reference,
            let kind = ResidualColumn.Kind(rawValue: head >> 2)
        else { throw ByteError(offset: place, reason: "integer column of an unknown kind \(head)") }
        let first = try reader.signed()
        let slope = transform == .secondDifferences ? try reader.signed() : 0
        let known = min(count, transform == .secondDifferences ? 2 : 1)
        var values = [Int64](repeating: 0, count: count)
        var failure: ByteError?
        var rest = reader
        values.withUnsafeMutableBufferPointer { values in
            guard let start = values.baseAddress else { return }
            do throws(ByteError) {
                if kind == .entropy {
                    var inner = ByteReader(try rest.prefixed())
                    try ResidualColumn.read(kind, count: count - known, from: &inner, into: start + known)
                } else {
                    try ResidualColumn.read(kind, count: count - known, from: &rest, into: start + known)
                }
            } catch {
                failure = error
            }
            IntegerTransform.restore(values, transform, slope: slope, reference: [])
            for index in values.indices { values[index] &+= first }
        }
        if let failure { throw failure }
        reader = rest
        return values
    }
}
