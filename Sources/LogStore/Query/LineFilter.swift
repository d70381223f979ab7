internal import CKernels
internal import Telemetry

/// The line predicates of a request, compiled. A line passes when it satisfies all of them.
///
/// Lines are searched where they lie back to back: where a text that every passing line must contain does not occur, a
/// whole block is ruled out by one search.
struct LineFilter: Sendable {
    private let predicates: [Predicate]
    /// The predicate whose texts are searched for first; nil when every line must be looked at.
    private let driver: Int?

    /// Compiles predicates; throws when an expression or an address cannot be read.
    init(_ predicates: [LinePredicate]) throws {
        let compiled = try predicates.map { try Predicate($0) }
        self.predicates = compiled
        // The longest texts are the rarest.
        let candidates = compiled.indices.filter { compiled[$0].needles != nil }
        driver = candidates.max { compiled[$0].needleBytesMinimum < compiled[$1].needleBytesMinimum }
    }

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
            return needles.contains { LineFilter.find($0, in: bytes, from: 0) != nil }
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
        while let hit = find(needle, in: searched, from: position) {
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

    /// The offset of the first occurrence of `needle` at or after `start`.
    static func find(_ needle: [UInt8], in bytes: UnsafeRawBufferPointer, from start: Int) -> Int? {
        guard start <= bytes.count, let base = bytes.baseAddress else { return needle.isEmpty ? start : nil }
        let offset = needle.withUnsafeBytes {
            vedette_find(base + start, bytes.count - start, $0.baseAddress, $0.count)
        }
        return offset < 0 ? nil : start + offset
    }
}

extension LineFilter {
    /// One compiled predicate: any of its alternatives, or, negated, none.
    struct Predicate: Sendable {
        private enum Alternative: Sendable {
            case text([UInt8])
            case expression(RegularExpression)
            case pattern(LinePattern)
            case address(AddressMatcher)
        }

        private let alternatives: [Alternative]
        private let isNegated: Bool
        /// Texts of which every passing line contains at least one; nil when there are no such texts.
        let needles: [[UInt8]]?
        /// Whether containing one of the texts is all that the predicate asks for.
        let needlesDecide: Bool

        /// The length of the shortest text.
        var needleBytesMinimum: Int { needles?.map(\.count).min() ?? 0 }

        init(_ predicate: LinePredicate) throws {
            isNegated = predicate.isNegated
            var alternatives: [Alternative] = []
            var needles: [[UInt8]?] = []
            for text in predicate.alternatives {
                let (alternative, needle) = try Predicate.compile(text, predicate)
                alternatives.append(alternative)
                needles.append(needle.flatMap { $0.isEmpty ? nil : $0 })
            }
            self.alternatives = alternatives
            let known = needles.compactMap { $0 }
            self.needles = !isNegated && !known.isEmpty && known.count == alternatives.count ? known : nil
            needlesDecide = predicate.kind == .contains && !predicate.foldsCase
        }

        private static func compile(_ text: String, _ predicate: LinePredicate) throws -> (Alternative, [UInt8]?) {
            switch predicate.kind {
            case .contains where predicate.foldsCase:
                return (.expression(try RegularExpression(Predicate.escaped(text), foldCase: true)), nil)
            case .contains:
                return (.text(Array(text.utf8)), Array(text.utf8))
            case .matchesRegex:
                let needle = predicate.foldsCase ? nil : RequiredLiteral.find(in: text).map { Array($0.utf8) }
                return (.expression(try RegularExpression(text, foldCase: predicate.foldsCase)), needle)
            case .matchesPattern:
                let pattern = LinePattern(text)
                return (.pattern(pattern), pattern.longestText)
            case .containsAddress:
                guard let matcher = AddressMatcher(text) else { throw LineFilterError.address(text) }
                return (.address(matcher), nil)
            }
        }

        /// `text` as an expression that matches nothing else.
        private static func escaped(_ text: String) -> String {
            var result = ""
            for scalar in text.unicodeScalars {
                if "\\.+*?()|[]{}^$".unicodeScalars.contains(scalar) { result += "\\" }
                result.unicodeScalars.append(scalar)
            }
            return result
        }

        func matches(_ line: UnsafeRawBufferPointer) -> Bool {
            alternatives.contains { alternative in
                switch alternative {
                case .text(let text): LineFilter.find(text, in: line, from: 0) != nil
                case .expression(let expression): expression.matches(line)
                case .pattern(let pattern): pattern.matches(line)
                case .address(let matcher): matcher.matches(line)
                }
            } != isNegated
        }
    }
}

/// Why a line predicate cannot be used.
enum LineFilterError: Error, CustomStringConvertible {
    case address(String)

    var description: String {
        switch self {
        case .address(let text): "ip: “\(text)” is no address, range of addresses or CIDR block"
        }
    }
}
