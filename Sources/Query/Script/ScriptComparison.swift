internal import Telemetry

/// Compares an answer with what a script expects.
struct ScriptComparison {
    private let expected: ScriptEvaluation

    init(_ expected: ScriptEvaluation) {
        self.expected = expected
    }

    /// Nil when they are equal, else the first difference.
    func difference(_ value: QueryValue) -> String? {
        switch value {
        case .scalar(let sample):
            guard let number = expected.scalar else { return "expected series, got the scalar \(sample.value)" }
            return areEqual(number, sample.value) ? nil : "expected \(number), got \(sample.value)"
        case .string(let text, _):
            return text == expected.string ? nil : "expected the string \(expected.string ?? "–"), got \(text)"
        case .vector(let points): return difference(points)
        case .matrix(let series): return difference(series)
        case .streams(let streams): return difference(streams)
        }
    }

    private func areEqual(_ left: Double, _ right: Double) -> Bool {
        NearlyEqual.holds(left, right, tolerance: ScriptCheck.tolerance)
    }

    /// The expected series by labels; the last of equal ones counts.
    private var byLabels: [Labels: (place: Int, values: [ScriptValue])] {
        var result: [Labels: (place: Int, values: [ScriptValue])] = [:]
        for (place, series) in expected.series.enumerated() { result[series.labels] = (place, series.values) }
        return result
    }

    // MARK: Vectors

    private func difference(_ points: [SeriesPoint]) -> String? {
        if let scalar = expected.scalar { return "expected the scalar \(scalar), got a vector" }
        var missing = byLabels
        for (place, point) in points.enumerated() {
            let text = valueText(point.value, point.histogram)
            guard let wanted = missing.removeValue(forKey: point.labels) else {
                return "unexpected series \(point.labels) = \(text)"
            }
            if expected.isOrdered, wanted.place != place {
                return "expected \(point.labels) at place \(wanted.place + 1), got it at \(place + 1)"
            }
            let first = wanted.values.first ?? .omitted
            guard isEqual(first, point.value, point.histogram) else {
                return "expected \(valueText(first)) for \(point.labels), got \(text)"
            }
        }
        return missing.keys.sorted().first.map { "expected \($0), which is missing" }
    }

    // MARK: Streams

    private func difference(_ streams: [StreamLines]) -> String? {
        var missing: [Labels: [ScriptEvaluation.Line]] = [:]
        for series in expected.series { missing[series.labels] = series.lines }
        for stream in streams {
            let found = stream.lines.map {
                ScriptEvaluation.Line(
                    nanoseconds: $0.nanoseconds, text: String(decoding: $0.text, as: UTF8.self))
            }
            guard let wanted = missing.removeValue(forKey: stream.labels) else {
                return "unexpected stream \(stream.labels) with \(text(found))"
            }
            if wanted != found { return "\(stream.labels): expected \(text(wanted)), got \(text(found))" }
        }
        return missing.keys.sorted().first.map { "expected the stream \($0), which is missing" }
    }

    private func text(_ lines: [ScriptEvaluation.Line]) -> String {
        let parts = lines.prefix(12).map { line in
            "\(GoText.quoted(line.text)) @ \(Durations.go(nanoseconds: line.nanoseconds))"
        }
        return parts.isEmpty ? "nothing" : parts.joined(separator: ", ")
    }

    // MARK: Matrices

    private func difference(_ series: [SeriesPoints]) -> String? {
        // LogQL gives a number over a range as a series without labels.
        if let scalar = expected.scalar, series.count == 1, series[0].labels.isEmpty {
            return series[0].values.allSatisfy { areEqual(scalar, $0) } ? nil : "expected \(scalar) at every step"
        }
        if let scalar = expected.scalar { return "expected the scalar \(scalar), got a matrix" }
        if expected.isOrdered { return "expected an order, got a matrix" }
        for (left, right) in zip(series, series.dropFirst()) where right.labels < left.labels {
            return "a matrix must be ordered by labels: \(right.labels) stands behind \(left.labels)"
        }
        var missing = byLabels
        for one in series {
            guard let wanted = missing.removeValue(forKey: one.labels) else {
                return "unexpected series \(one.labels) with \(text(one))"
            }
            if let reason = difference(wanted.values, one) { return "\(one.labels): \(reason); got \(text(one))" }
        }
        return missing.keys.sorted().first.map { "expected \($0), which is missing" }
    }

    private func difference(_ values: [ScriptValue], _ series: SeriesPoints) -> String? {
        var numbers: [(time: Int64, value: ScriptValue)] = []
        var histograms: [(time: Int64, value: ScriptValue)] = []
        for (step, value) in values.enumerated() {
            let time = expected.startMilliseconds + Int64(step) * expected.stepMilliseconds
            if time > expected.endMilliseconds { return "expected more points than the range has steps" }
            switch value {
            case .omitted: continue
            case .number: numbers.append((time, value))
            case .histogram: histograms.append((time, value))
            }
        }
        guard numbers.count == series.values.count, histograms.count == series.histograms.count else {
            return "expected \(numbers.count) numbers and \(histograms.count) histograms"
        }
        for (index, wanted) in numbers.enumerated() {
            let (time, value) = (series.timesMilliseconds[index], series.values[index])
            guard wanted.time == time, isEqual(wanted.value, value, nil) else {
                return "expected \(valueText(wanted.value)) at \(wanted.time), got \(value) at \(time)"
            }
        }
        for (index, wanted) in histograms.enumerated() {
            let (time, histogram) = (series.histogramTimesMilliseconds[index], series.histograms[index])
            guard wanted.time == time, isEqual(wanted.value, 0, histogram) else {
                let found = HistogramDescription.text(histogram)
                return "expected \(valueText(wanted.value)) at \(wanted.time), got \(found) at \(time)"
            }
        }
        return nil
    }

    // MARK: Values

    private func isEqual(_ wanted: ScriptValue, _ value: Double, _ histogram: NativeHistogram?) -> Bool {
        switch (wanted, histogram) {
        case (.number(let number), nil): areEqual(number, value)
        case (.histogram(let wanted, let checksHint), let histogram?):
            isEqual(wanted.compacted, histogram.compacted, checksHint: checksHint)
        default: false
        }
    }

    private func isEqual(_ left: NativeHistogram, _ right: NativeHistogram, checksHint: Bool) -> Bool {
        func areEqual(_ left: BucketRun<Double>, _ right: BucketRun<Double>) -> Bool {
            left.indexes == right.indexes && zip(left.counts, right.counts).allSatisfy { self.areEqual($0, $1) }
        }
        return left.schema == right.schema && self.areEqual(left.count, right.count)
            && self.areEqual(left.sum, right.sum) && left.zeroThreshold == right.zeroThreshold
            && self.areEqual(left.zeroCount, right.zeroCount)
            && (!left.usesCustomBuckets || left.customBounds == right.customBounds)
            && areEqual(left.positiveRun, right.positiveRun) && areEqual(left.negativeRun, right.negativeRun)
            && (!checksHint || left.counterResetHint == right.counterResetHint)
    }

    private func valueText(_ value: ScriptValue) -> String {
        switch value {
        case .omitted: "nothing"
        case .number(let number): FloatText.plain(number)
        case .histogram(let histogram, _): HistogramDescription.text(histogram)
        }
    }

    private func valueText(_ value: Double, _ histogram: NativeHistogram?) -> String {
        histogram.map { HistogramDescription.text($0) } ?? FloatText.plain(value)
    }

    private func text(_ series: SeriesPoints) -> String {
        var parts = zip(series.timesMilliseconds, series.values).map { "\(FloatText.plain($1)) @\($0)" }
        parts += zip(series.histogramTimesMilliseconds, series.histograms).map {
            "\(HistogramDescription.text($1)) @\($0)"
        }
        return parts.isEmpty ? "nothing" : parts.prefix(12).joined(separator: ", ")
    }
}
