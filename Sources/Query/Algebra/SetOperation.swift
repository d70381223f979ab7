internal import Telemetry

/// `and`, `or`, `unless`: series pass or not, by whether the other side has a match at the step.
enum SetOperation {
    /// Which signatures have a value at which steps.
    private struct Presence {
        private var table: GroupTable
        private var steps: [[Bool]] = []

        init(_ columns: [SeriesColumn], _ matching: VectorMatching) {
            table = GroupTable(LabelGrouping(matching))
            for column in columns {
                let place = table.place(of: column.labels)
                if place == steps.count { steps.append([Bool](repeating: false, count: column.values.count)) }
                for step in column.values.indices where column.isPresent(at: step) { steps[place][step] = true }
            }
        }

        mutating func steps(of column: SeriesColumn) -> [Bool]? { table.known(column.labels).map { steps[$0] } }
    }

    /// The left series where the right side has a match.
    static func intersection(
        _ left: [SeriesColumn], _ right: [SeriesColumn], _ matching: VectorMatching
    ) -> [SeriesColumn] {
        var presence = Presence(right, matching)
        return left.compactMap { column in
            guard let present = presence.steps(of: column) else { return nil }
            return column.keeping { present[$0] }
        }
    }

    /// The left series where the right side has no match.
    static func difference(
        _ left: [SeriesColumn], _ right: [SeriesColumn], _ matching: VectorMatching
    ) -> [SeriesColumn] {
        var presence = Presence(right, matching)
        return left.compactMap { column in
            guard let present = presence.steps(of: column) else { return column }
            return column.keeping { !present[$0] }
        }
    }

    /// The left series, and the right ones where the left side has no match.
    static func union(
        _ left: [SeriesColumn], _ right: [SeriesColumn], _ matching: VectorMatching, steps: Int
    ) throws(QueryError) -> [SeriesColumn] {
        let added = difference(right, left, matching)
        // The same series may stand on both sides at different steps: then it is one series of the result. Names
        // still to be dropped are left to the end of the query.
        return steps == 1 ? left + added : try MergedColumns.merged(left + added)
    }
}

extension SeriesColumn {
    /// The column at the steps that satisfy `condition`; nil when nothing is left.
    func keeping(_ condition: (Int) -> Bool) -> SeriesColumn? {
        var column = self
        for step in values.indices where !condition(step) { column.clear(at: step) }
        return column.isEmpty ? nil : column
    }
}
