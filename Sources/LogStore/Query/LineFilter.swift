internal import Telemetry

/// The line predicates of a request, compiled. A line passes when it satisfies all of them.
///
/// Lines are searched where they lie back to back: where a text that every passing line must contain does not occur, a
/// whole block is ruled out by one search.
struct LineFilter: Sendable {
    let predicates: [LineMatcher]
    /// The same as they were written.
    let sources: [LinePredicate]
    /// The predicate whose texts are searched for first; nil when every line must be looked at.
    private let driver: Int?

    /// Compiles predicates; throws when an expression or an address cannot be read.
    init(_ predicates: [LinePredicate]) throws {
        let compiled = try predicates.map { try LineMatcher($0) }
        self.predicates = compiled
        sources = predicates
        // The longest texts are the rarest.
        let candidates = compiled.indices.filter { compiled[$0].needles != nil }
        driver = candidates.max { compiled[$0].needleBytesMinimum < compiled[$1].needleBytesMinimum }
    }

    /// Whether passing lines are found by a search for texts.
    var hasTexts: Bool { driver != nil }

    /// Whether every line passes.
    var isEmpty: Bool { predicates.isEmpty }

    /// Whether a line passes.
    func matches(_ line: UnsafeRawBufferPointer) -> Bool { predicates.allSatisfy { $0.matches(line) } }

    /// Whether a line passes.
    func matches(_ line: ArraySlice<UInt8>) -> Bool { line.withUnsafeBytes { matches($0) } }

    /// Whether some line of these may pass; false rules all of them out.
    func mayMatch(_ bytes: UnsafeRawBufferPointer) -> Bool {
        predicates.allSatisfy { predicate in
            guard let needles = predicate.needles else { return true }
            return needles.contains { bytes.offset(of: $0) != nil }
        }
    }

    /// The lines of `range` that pass, rising. Line i is `bytes[ends[i-1]..<ends[i]]`.
    func select(_ bytes: UnsafeRawBufferPointer, ends: [Int], range: Range<Int>) -> [Int32] {
        var selected: [Int32] = []
        guard let driver, let needles = predicates[driver].needles else {
            for index in range where matches(LineFilter.line(index, bytes, ends)) { selected.append(Int32(index)) }
            return selected
        }
        let isProof = predicates[driver].needlesDecide
        for index in LineFilter.linesContaining(needles, bytes, ends: ends, range: range) {
            let line = LineFilter.line(Int(index), bytes, ends)
            let passes = predicates.indices.allSatisfy { position in
                (isProof && position == driver) || predicates[position].matches(line)
            }
            if passes { selected.append(index) }
        }
        return selected
    }

    private static func line(_ index: Int, _ bytes: UnsafeRawBufferPointer, _ ends: [Int]) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: bytes[(index == 0 ? 0 : ends[index - 1])..<ends[index]])
    }

    /// The lines of `range` that contain one of the texts, rising.
    private static func linesContaining(
        _ needles: [[UInt8]], _ bytes: UnsafeRawBufferPointer, ends: [Int], range: Range<Int>
    ) -> [Int32] {
        guard needles.count > 1 else { return needles.first.map { linesContaining($0, bytes, ends, range) } ?? [] }
        var all = Set<Int32>()
        for needle in needles { all.formUnion(linesContaining(needle, bytes, ends, range)) }
        return all.sorted()
    }

    private static func linesContaining(
        _ needle: [UInt8], _ bytes: UnsafeRawBufferPointer, _ ends: [Int], _ range: Range<Int>
    ) -> [Int32] {
        var found: [Int32] = []
        guard !range.isEmpty else { return found }
        var line = range.lowerBound
        var position = line == 0 ? 0 : ends[line - 1]
        let searched = UnsafeRawBufferPointer(rebasing: bytes[..<ends[range.upperBound - 1]])
        while let hit = searched.offset(of: needle, from: position) {
            line = firstLine(endingAfter: hit, ends, from: line, to: range.upperBound)
            // A hit may lie across the border of two lines; then the search goes on one byte later.
            if hit + needle.count <= ends[line] {
                found.append(Int32(line))
                position = ends[line]
            } else {
                position = hit + 1
            }
        }
        return found
    }

    /// The first line whose end is behind `byte`: a search in widening steps, because hits come close together.
    private static func firstLine(endingAfter byte: Int, _ ends: [Int], from start: Int, to bound: Int) -> Int {
        var low = start
        var step = 1
        while low + step < bound, ends[low + step] <= byte {
            low += step
            step *= 2
        }
        var high = min(low + step, bound - 1)
        while low < high {
            let middle = (low + high) / 2
            if ends[middle] > byte { high = middle } else { low = middle + 1 }
        }
        return low
    }
}
