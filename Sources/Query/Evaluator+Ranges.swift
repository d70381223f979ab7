internal import Telemetry

/// Range vectors as answers in themselves: `metric[5m]` and `expression[5m:1m]` at one time.
extension Evaluator {
    func points(of expression: Expression) throws -> [SeriesPoints] {
        switch expression.unwrapped {
        case .matrix(let matrix): return try points(of: matrix).sorted { $0.labels < $1.labels }
        case .subquery(let subquery):
            let (columns, grid) = try evaluated(subquery)
            return try PointsAnswer(times: grid, context: context).series(columns)
        default: return []
        }
    }

    private func points(of matrix: MatrixSelector) throws -> [SeriesPoints] {
        if let extent = matrix.selector.extent { return try extendedPoints(of: matrix, extent) }
        let end = StepTimes(matrix.selector.modifiers, times).startMilliseconds
        let length = matrix.range.preparedMilliseconds
        let hints = SelectHints(windowMilliseconds: length)
        let workspace = Workspace()
        let run = workspace.run
        var result: [SeriesPoints] = []
        for cursor in try cursors(matrix.selector, from: end &- length &+ 1, through: end, hints: hints) {
            try context.check()
            try fill(from: cursor, workspace)
            guard !run.isEmpty else { continue }
            try context.reserve(run.bytes, samples: run.times.count + run.histograms.count)
            result.append(
                SeriesPoints(
                    labels: cursor.labels, timesMilliseconds: run.times, values: run.values,
                    histogramTimesMilliseconds: run.histogramTimes, histograms: run.histograms))
        }
        workspace.release(in: context)
        return result
    }
}
