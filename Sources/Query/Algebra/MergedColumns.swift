internal import Telemetry

/// Series that ended up with the same labels become one, where they do not meet at a step.
enum MergedColumns {
    static let duplicateMessage = "vector cannot contain metrics with the same labelset"

    /// The columns with names dropped where asked for, and equal labels merged.
    static func finished(_ columns: consuming [SeriesColumn]) throws(QueryError) -> [SeriesColumn] {
        var columns = columns
        for index in columns.indices where columns[index].dropsName {
            columns[index].labels = LabelSets.withoutMetadata(columns[index].labels)
            columns[index].dropsName = false
        }
        return try merged(columns)
    }

    /// The columns with equal labels merged; two values at one step are an error.
    static func merged(_ columns: [SeriesColumn]) throws(QueryError) -> [SeriesColumn] {
        // In the order of their labels none are equal, and most come in that order.
        if areOrdered(columns) { return columns }
        var places: [Labels: Int] = [:]
        places.reserveCapacity(columns.count)
        var result: [SeriesColumn] = []
        result.reserveCapacity(columns.count)
        for column in columns {
            guard let place = places[column.labels] else {
                places[column.labels] = result.count
                result.append(column)
                continue
            }
            for step in column.values.indices where column.isPresent(at: step) {
                guard !result[place].isPresent(at: step) else { throw QueryError(.execution, duplicateMessage) }
                result[place].values[step] = column.values[step]
                result[place].set(column.histogram(at: step), at: step)
            }
        }
        return result
    }

    /// Whether the labels rise from column to column.
    static func areOrdered(_ columns: [SeriesColumn]) -> Bool {
        zip(columns, columns.dropFirst()).allSatisfy { $0.labels < $1.labels }
    }
}
