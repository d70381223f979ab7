internal import Telemetry

/// Functions that fit a line, or a smooth curve, to the samples of a range.
extension Functions {
    static let regressionFunctions: [Function] = [
        Function("deriv", [.matrix], .window(WindowFunction(evaluate: slope))),
        Function(
            "predict_linear", [.matrix, .scalar], dependsOnTime: true, .window(WindowFunction(evaluate: prediction))),
        Function(
            "double_exponential_smoothing", [.matrix, .scalar, .scalar], .window(WindowFunction(evaluate: smoothing))),
    ]

    @Sendable private static func slope(_ input: WindowInput, _ column: inout SeriesColumn) throws {
        input.informOfIgnoredHistograms()
        var meter = WorkMeter(input.evaluator.context)
        for step in 0..<input.stepCount where input.windows[step].count >= 2 {
            try meter.spend(input.windows[step].count)
            // A time near those of the samples keeps the sums small.
            let origin = input.run.times[input.windows[step].lowerBound]
            column.values[step] = line(input, step, origin: origin).slope
        }
    }

    @Sendable private static func prediction(_ input: WindowInput, _ column: inout SeriesColumn) throws {
        input.informOfIgnoredHistograms()
        var meter = WorkMeter(input.evaluator.context)
        for step in 0..<input.stepCount where input.windows[step].count >= 2 {
            try meter.spend(input.windows[step].count)
            let line = line(input, step, origin: input.evaluator.times[step])
            column.values[step] = line.slope * input.scalars[0][step] + line.intercept
        }
    }

    /// Least squares over a window; `intercept` is the value at `origin`.
    private static func line(
        _ input: WindowInput, _ step: Int, origin: Int64
    ) -> (slope: Double, intercept: Double) {
        let window = input.windows[step]
        let first = input.run.values[window.lowerBound]
        var count: Double = 0
        var (sumX, sumY, sumXY, sumXX) = (KahanSum(), KahanSum(), KahanSum(), KahanSum())
        var isConstant = true
        for index in window {
            let y = input.run.values[index]
            if y != first, index > window.lowerBound { isConstant = false }
            let x = Double(input.run.times[index] - origin) / 1000
            count += 1
            sumX.add(x)
            sumY.add(y)
            sumXY.add(x * y)
            sumXX.add(x * x)
        }
        if isConstant { return first.isInfinite ? (.nan, .nan) : (0, first) }
        let (x, y) = (sumX.sum + sumX.compensation, sumY.sum + sumY.compensation)
        let covariance = sumXY.sum + sumXY.compensation - x * y / count
        let variance = sumXX.sum + sumXX.compensation - x * x / count
        let slope = covariance / variance
        return (slope, y / count - slope * x / count)
    }

    /// Holt's linear method.
    @Sendable private static func smoothing(_ input: WindowInput, _ column: inout SeriesColumn) throws {
        input.informOfIgnoredHistograms()
        try input.forEachWindow(&column) { step, values in
            let factor = input.scalars[0][step]
            let trendFactor = input.scalars[1][step]
            guard factor > 0, factor < 1 else {
                throw QueryError(
                    .execution,
                    "invalid smoothing factor. Expected: 0 < sf < 1, got: "
                        + FloatText.formatted(factor, verb: "f", precision: 6)
                )
            }
            guard trendFactor > 0, trendFactor < 1 else {
                throw QueryError(
                    .execution,
                    "invalid trend factor. Expected: 0 < tf < 1, got: "
                        + FloatText.formatted(trendFactor, verb: "f", precision: 6)
                )
            }
            guard values.count >= 2 else { return nil }
            var before: Double = 0
            var smoothed = values[0]
            var trend = values[1] - values[0]
            for index in 1..<values.count {
                if index > 1 { trend = trendFactor * (smoothed - before) + (1 - trendFactor) * trend }
                let next = factor * values[index] + (1 - factor) * (smoothed + trend)
                (before, smoothed) = (smoothed, next)
            }
            return smoothed
        }
    }
}
