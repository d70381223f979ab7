internal import Telemetry

/// Functions that make scalars, or vectors of them, and those that tell of missing or ordered series.
extension Functions {
    static let scalarFunctions: [Function] = [
        Function("time", [], returns: .scalar, dependsOnTime: true, .general(time)),
        Function("pi", [], returns: .scalar, .queryBounds { _ in .pi }),
        Function("start", [], returns: .scalar, .queryBounds { Double($0.startMilliseconds) / 1000 }),
        Function("end", [], returns: .scalar, .queryBounds { Double($0.endMilliseconds) / 1000 }),
        Function("step", [], returns: .scalar, .queryBounds { $0.rangeSeconds == 0 ? 0 : $0.stepSeconds }),
        Function("range", [], returns: .scalar, .queryBounds { $0.rangeSeconds }),
        Function("max_of", [.scalar, .scalar], returns: .scalar, .general { try pair($0, $1, larger) }),
        Function("min_of", [.scalar, .scalar], returns: .scalar, .general { try pair($0, $1, smaller) }),
        Function("scalar", [.vector], returns: .scalar, .general(scalar)),
        Function("vector", [.scalar], .general(vector)),
        Function("absent", [.vector], .general(absent)),
        Function("sort", [.vector], .general { try sorted($0, $1, isDescending: false) }),
        Function("sort_desc", [.vector], .general { try sorted($0, $1, isDescending: true) }),
        Function(
            "sort_by_label", [.vector, .string], variadic: -1,
            .general { try sortedByLabel($0, $1, isDescending: false) }),
        Function(
            "sort_by_label_desc", [.vector, .string], variadic: -1,
            .general { try sortedByLabel($0, $1, isDescending: true) }),
    ]

    @Sendable private static func time(_ evaluator: Evaluator, _ call: Call) -> Evaluated {
        .scalar((0..<evaluator.times.count).map { Double(evaluator.times[$0]) / 1000 })
    }

    private static func pair(
        _ evaluator: Evaluator, _ call: Call, _ combine: (Double, Double) -> Double
    ) throws -> Evaluated {
        let left = try evaluator.scalar(call.arguments[0])
        let right = try evaluator.scalar(call.arguments[1])
        return .scalar(zip(left, right).map(combine))
    }

    /// The number of the only series; NaN where there is none, or more than one.
    @Sendable private static func scalar(_ evaluator: Evaluator, _ call: Call) throws -> Evaluated {
        let steps = evaluator.times.count
        let stream = try evaluator.stream(call.arguments[0])
        let only = try evaluator.fold(stream) {
            (values: [Double](repeating: .nan, count: steps), counts: [Int](repeating: 0, count: steps))
        } _: { only, column in
            for step in column.values.indices where column.hasNumber(at: step) {
                only.counts[step] += 1
                only.values[step] = only.counts[step] == 1 ? column.values[step] : .nan
            }
        } _: { only, other in
            for step in other.counts.indices where other.counts[step] > 0 {
                only.counts[step] += other.counts[step]
                only.values[step] = only.counts[step] == 1 ? other.values[step] : .nan
            }
        }
        return .scalar(only.values)
    }

    @Sendable private static func vector(_ evaluator: Evaluator, _ call: Call) throws -> Evaluated {
        .vector([SeriesColumn(labels: .empty, values: try evaluator.scalar(call.arguments[0]))])
    }

    /// One where the vector is empty, with the labels its selector asks for.
    @Sendable private static func absent(_ evaluator: Evaluator, _ call: Call) throws -> Evaluated {
        .vector(try absence(of: try evaluator.stream(call.arguments[0]), like: call.arguments[0], evaluator))
    }

    /// A series of ones where no series of a stream has a value.
    static func absence(
        of stream: ColumnStream, like argument: Expression, _ evaluator: Evaluator
    ) throws -> [SeriesColumn] {
        let steps = evaluator.times.count
        let isPresent = try evaluator.fold(stream) {
            [Bool](repeating: false, count: steps)
        } _: { isPresent, column in
            for step in 0..<steps where column.isPresent(at: step) { isPresent[step] = true }
        } _: { isPresent, other in
            for step in 0..<steps where other[step] { isPresent[step] = true }
        }
        var column = SeriesColumn(labels: absentLabels(argument), count: steps)
        for step in 0..<steps where !isPresent[step] { column.values[step] = 1 }
        return column.isEmpty ? [] : [column]
    }

    /// The labels that a selector pins to one value each.
    private static func absentLabels(_ argument: Expression) -> Labels {
        let matchers: [LabelMatcher]
        switch argument {
        case .vector(let selector): matchers = selector.matchers
        case .matrix(let matrix): matchers = matrix.selector.matchers
        default: return .empty
        }
        var values: [String: String] = [:]
        var seen: Set<String> = []
        for matcher in matchers where matcher.name != Labels.metricNameLabel {
            // A label that is named twice has no one value, as Prometheus has always seen it.
            if matcher.operation == .equal, !seen.contains(matcher.name) {
                values[matcher.name] = matcher.value
                seen.insert(matcher.name)
            } else {
                values[matcher.name] = nil
            }
        }
        return Labels(values)
    }

    // MARK: Order

    private static func sorted(_ evaluator: Evaluator, _ call: Call, isDescending: Bool) throws -> Evaluated {
        let columns = try evaluator.vector(call.arguments[0])
        guard evaluator.isInstant else {
            return .vector(warned(columns, evaluator, call).compactMap(\.withoutHistograms))
        }
        let numbers = columns.filter { $0.hasNumber(at: 0) }
        return .vector(
            numbers.sorted { left, right in
                let (a, b) = (left.values[0], right.values[0])
                // NaN comes last either way.
                if a.isNaN || b.isNaN { return !a.isNaN }
                return isDescending ? a > b : a < b
            })
    }

    private static func sortedByLabel(_ evaluator: Evaluator, _ call: Call, isDescending: Bool) throws -> Evaluated {
        let columns = try evaluator.vector(call.arguments[0])
        guard evaluator.isInstant else { return .vector(warned(columns, evaluator, call)) }
        let names = call.arguments.dropFirst().map { evaluator.string($0) }
        return .vector(
            columns.sorted { left, right in
                for name in names {
                    let (a, b) = (left.labels[name] ?? "", right.labels[name] ?? "")
                    if a == b { continue }
                    return NaturalOrder.isLess(a, b) != isDescending
                }
                return isDescending ? right.labels < left.labels : left.labels < right.labels
            })
    }

    private static func warned(_ columns: [SeriesColumn], _ evaluator: Evaluator, _ call: Call) -> [SeriesColumn] {
        evaluator.warn(
            "sort is ineffective for range queries since results are always ordered by labels", at: call.span)
        return columns
    }
}

/// Compares texts with numbers in them as people do: `web2` before `web10`.
enum NaturalOrder {
    static func isLess(_ left: String, _ right: String) -> Bool {
        let a = chunks(left)
        let b = chunks(right)
        for (x, y) in zip(a, b) where x != y {
            if let m = Double(x), let n = Double(y), x.first?.isNumber == true, y.first?.isNumber == true {
                if m != n { return m < n }
                return x.utf8.count < y.utf8.count
            }
            return x < y
        }
        return a.count < b.count
    }

    /// Runs of digits and runs of everything else.
    private static func chunks(_ text: String) -> [String] {
        var result: [String] = []
        var wasDigit: Bool?
        for character in text {
            let isDigit = character.isASCII && character.isNumber
            if isDigit == wasDigit {
                result[result.count - 1].append(character)
            } else {
                result.append(String(character))
            }
            wasDigit = isDigit
        }
        return result
    }
}
