package import Telemetry

/// A label named by `drop` or `keep`, always or only where a matcher holds.
package struct LabelSelection: Sendable, CustomStringConvertible {
    package var label: String
    package var matcher: LabelMatcher?

    package var description: String { matcher?.description ?? label }

    static func list(_ parser: inout LogQLParser) throws(QueryError) -> [LabelSelection] {
        var list: [LabelSelection] = []
        repeat {
            let label = try parser.identifier()
            let matcher = try parser.matcherTail(of: label)
            list.append(LabelSelection(label: label, matcher: matcher))
        } while parser.accept(",")
        return list
    }
}
