internal import CKernels
internal import Telemetry

/// What is left of a column once its pattern is taken out: 64-bit integers, mostly small, written in the smallest of
/// three ways. docs/formats/metric-block.md has the layout.
enum ResidualColumn {
    /// How the residuals are written.
    enum Kind: UInt8 {
        /// One value for all.
        case flat = 0
        /// Blocks of 128, bit-packed, exceptions patched (PFOR, Zukowski et al., ICDE 2006).
        case packed = 1
        /// Entropy-coded: see `EntropyCode`.
        case entropy = 2
    }

    /// Values per bit-packed block.
    static let blockCount = 128
    static let patchFlag: UInt8 = 0x80
    /// Heads of an entropy-coded column.
    static let centreFlag: UInt8 = 0b1
    static let unsignedFlag: UInt8 = 0b10
    static let runsFlag: UInt8 = 0b100

    /// How residuals will be written, and the exact size.
    struct Plan {
        var kind: Kind
        var byteCount: Int
        var blocks: [PackedBlock] = []
        var entropy: EntropyPlan?
    }

    /// An entropy code and what it is to be used on.
    struct EntropyPlan {
        var code: EntropyCode
        var centre: Int64
        var isUnsigned: Bool
        var hasRuns: Bool
        var byteCount: Int
    }

    /// The smallest way to write `residuals`. Entropy coding costs decoding time, so it must save a tenth, and is not
    /// tried on pages that are written to be read soon.
    static func plan(_ residuals: UnsafeBufferPointer<Int64>, isSealed: Bool) -> Plan {
        guard let first = residuals.first else { return Plan(kind: .flat, byteCount: 1) }
        if !residuals.contains(where: { $0 != first }) {
            return Plan(kind: .flat, byteCount: VarintSize.signed(first))
        }
        var packed = Plan(kind: .packed, byteCount: 0)
        for start in stride(from: 0, to: residuals.count, by: blockCount) {
            let end = min(start + blockCount, residuals.count)
            let block = PackedBlock(UnsafeBufferPointer(rebasing: residuals[start..<end]))
            packed.blocks.append(block)
            packed.byteCount += block.byteCount
        }
        guard isSealed, let entropy = entropyPlan(residuals), entropy.byteCount * 10 <= packed.byteCount * 9 else {
            return packed
        }
        return Plan(kind: .entropy, byteCount: entropy.byteCount, entropy: entropy)
    }

    /// Appends the residuals as planned.
    static func write(_ residuals: UnsafeBufferPointer<Int64>, _ plan: Plan, into writer: inout ByteWriter) {
        switch plan.kind {
        case .flat: writer.putSigned(residuals.first ?? 0)
        case .packed:
            for (number, block) in plan.blocks.enumerated() {
                let start = number * blockCount
                let end = min(start + blockCount, residuals.count)
                block.write(UnsafeBufferPointer(rebasing: residuals[start..<end]), into: &writer)
            }
        case .entropy:
            if let entropy = plan.entropy { write(residuals, entropy, into: &writer) }
        }
    }

    /// Reads `count` residuals that take all that is left of `reader`, whose buffer is padded.
    static func read(
        _ kind: Kind, count: Int, from reader: inout ByteReader, into values: UnsafeMutablePointer<Int64>
    ) throws(ByteError) {
        switch kind {
        case .flat: values.update(repeating: try reader.signed(), count: count)
        case .packed:
            for start in stride(from: 0, to: count, by: blockCount) {
                try PackedBlock.read(count: min(blockCount, count - start), from: &reader, into: values + start)
            }
        case .entropy: try readEntropy(count: count, from: &reader, into: values)
        }
    }
}

extension ResidualColumn {
    /// Tries to code around zero, around the middle, and up from the smallest.
    private static func entropyPlan(_ residuals: UnsafeBufferPointer<Int64>) -> EntropyPlan? {
        let middle = ResidualEstimate.middle(residuals)
        var best: EntropyPlan?
        func consider(_ candidate: EntropyPlan?) {
            guard let candidate, candidate.byteCount < best?.byteCount ?? .max else { return }
            best = candidate
        }
        consider(entropyPlan(residuals, centre: middle, isUnsigned: false))
        if middle != 0 { consider(entropyPlan(residuals, centre: 0, isUnsigned: false)) }
        if let smallest = residuals.min() {
            let (_, overflow) = (residuals.max() ?? 0).subtractingReportingOverflow(smallest)
            if !overflow { consider(entropyPlan(residuals, centre: smallest, isUnsigned: true)) }
        }
        return best
    }

    private static func entropyPlan(
        _ residuals: UnsafeBufferPointer<Int64>, centre: Int64, isUnsigned: Bool
    ) -> EntropyPlan? {
        withUnsafeTemporaryAllocation(of: UInt32.self, capacity: EntropyCode.symbolCount) { counts in
            guard let counts = counts.baseAddress else { return nil }
            counts.initialize(repeating: 0, count: EntropyCode.symbolCount)
            vedette_count_classes(residuals.baseAddress, residuals.count, isUnsigned ? 1 : 0, centre, counts)
            let zeros = Int(counts[0])
            let plain = entropyPlan(counts, centre: centre, isUnsigned: isUnsigned, hasRuns: false)
            guard zeros * 2 > residuals.count else { return plain }
            countWithRuns(residuals, centre: centre, isUnsigned: isUnsigned, into: counts)
            let runs = entropyPlan(counts, centre: centre, isUnsigned: isUnsigned, hasRuns: true)
            guard let runs, runs.byteCount < plain?.byteCount ?? .max else { return plain }
            return runs
        }
    }

    private static func entropyPlan(
        _ counts: UnsafePointer<UInt32>, centre: Int64, isUnsigned: Bool, hasRuns: Bool
    ) -> EntropyPlan? {
        guard let code = EntropyCode(counts: counts, hasRuns: hasRuns) else { return nil }
        let head = 1 + (centre == 0 ? 0 : VarintSize.signed(centre)) + code.byteCount
        // Both ends are filled up to whole bytes.
        let bytes = head + (code.bitCount(counts, hasRuns: hasRuns) + 14) / 8
        return EntropyPlan(
            code: code, centre: centre, isUnsigned: isUnsigned, hasRuns: hasRuns, byteCount: bytes)
    }

    private static func countWithRuns(
        _ residuals: UnsafeBufferPointer<Int64>, centre: Int64, isUnsigned: Bool,
        into counts: UnsafeMutablePointer<UInt32>
    ) {
        counts.update(repeating: 0, count: EntropyCode.symbolCount)
        forEachToken(residuals, centre: centre, isUnsigned: isUnsigned, hasRuns: true) { _, symbol, _ in
            counts[symbol] += 1
        }
    }

    /// Calls `body` with each symbol and what stands behind its code, in turn from the front and from the back, as they
    /// are decoded.
    private static func forEachToken(
        _ residuals: UnsafeBufferPointer<Int64>, centre: Int64, isUnsigned: Bool, hasRuns: Bool,
        _ body: (_ isBack: Bool, _ symbol: Int, _ folded: UInt64) -> Void
    ) {
        var (low, high) = (0, residuals.count)
        var isBack = false
        while low < high {
            let distance = residuals[isBack ? high - 1 : low] &- centre
            if hasRuns, distance == 0 {
                var length = 1
                let longest = min(high - low, (1 << EntropyCode.runCount) - 1)
                while length < longest, residuals[isBack ? high - 1 - length : low + length] == centre { length += 1 }
                body(isBack, Int.bitWidth - 1 - length.leadingZeroBitCount, UInt64(length))
                if isBack { high -= length } else { low += length }
            } else {
                let folded =
                    isUnsigned
                    ? UInt64(bitPattern: distance) : UInt64(bitPattern: (distance &<< 1) ^ (distance &>> 63))
                let bits = 64 - folded.leadingZeroBitCount
                let value = bits < 2 ? bits : 2 * (bits - 1) + Int(folded &>> UInt64(bits - 2) & 1)
                body(isBack, hasRuns ? value + EntropyCode.runCount - 1 : value, folded)
                if isBack { high -= 1 } else { low += 1 }
            }
            isBack.toggle()
        }
    }

    private static func write(
        _ residuals: UnsafeBufferPointer<Int64>, _ plan: EntropyPlan, into writer: inout ByteWriter
    ) {
        var head: UInt8 = 0
        if plan.centre != 0 { head |= centreFlag }
        if plan.isUnsigned { head |= unsignedFlag }
        if plan.hasRuns { head |= runsFlag }
        writer.put(head)
        if plan.centre != 0 { writer.putSigned(plan.centre) }
        plan.code.encode(into: &writer)
        var front = CodeWriter()
        var back = CodeWriter()
        forEachToken(
            residuals, centre: plan.centre, isUnsigned: plan.isUnsigned, hasRuns: plan.hasRuns
        ) { isBack, symbol, folded in
            let extra = EntropyCode.meaning(of: symbol, hasRuns: plan.hasRuns).extra
            let length = Int(plan.code.lengths[symbol])
            let behind = folded & ((1 &<< UInt64(extra)) &- 1)
            if isBack {
                back.put(UInt64(plan.code.codes[symbol]), length)
                back.put(behind, extra)
            } else {
                front.put(UInt64(plan.code.codes[symbol]), length)
                front.put(behind, extra)
            }
        }
        front.finish()
        back.finish()
        writer.put(front.bytes)
        writer.put(back.bytes.reversed())
    }

    private static func readEntropy(
        count: Int, from reader: inout ByteReader, into values: UnsafeMutablePointer<Int64>
    ) throws(ByteError) {
        let place = reader.offset
        let head = try reader.byte()
        guard head < 8 else {
            throw ByteError(offset: place, reason: "entropy-coded column of an unknown kind \(head)")
        }
        let centre = head & centreFlag != 0 ? try reader.signed() : 0
        let hasRuns = head & runsFlag != 0
        var rest = reader
        let result = withUnsafeTemporaryAllocation(of: vedette_code.self, capacity: EntropyCode.tableCount) { table in
            Result { () throws(ByteError) -> Bool in
                guard let table = table.baseAddress else { return false }
                try EntropyCode.readTable(hasRuns: hasRuns, from: &rest, into: table)
                let bytes = try rest.slice(rest.remaining)
                let mode: Int32 = head & unsignedFlag != 0 ? 1 : 0
                return vedette_entropy_decode(
                    bytes.baseAddress, bytes.count, table, hasRuns ? 1 : 0, mode, centre, count, values) == 0
            }
        }
        let isRight = try result.get()
        reader = rest
        guard isRight else { throw ByteError(offset: place, reason: "entropy-coded column ends too early") }
    }
}

/// The sizes of varints before they are written.
enum VarintSize {
    /// The bytes `putVarint` writes.
    static func unsigned(_ value: UInt64) -> Int { max(1, (64 - value.leadingZeroBitCount + 6) / 7) }

    /// The bytes `putSigned` writes.
    static func signed(_ value: Int64) -> Int { unsigned(UInt64(bitPattern: (value << 1) ^ (value >> 63))) }
}
