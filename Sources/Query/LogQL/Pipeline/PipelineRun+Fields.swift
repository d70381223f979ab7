internal import Telemetry

/// What a store may already tell from its columns of the fields that a pipeline compares.
extension PipelineRun {
    /// The first parser of the pipeline and the comparisons behind it that a line cannot pass without the field having
    /// the value: hints, since every comparison is made again on the lines that come. Nothing behind a stage that
    /// changes labels or text is one.
    var fieldHints: (parser: LogPlanFragment.Parser, predicates: [FieldPredicate])? {
        var parser: LogPlanFragment.Parser?
        var extractions: [LabelExtraction] = []
        var predicates: [FieldPredicate] = []
        stages: for stage in pipeline.stages.compactMap({ $0 as? any LineProcessing }) {
            switch stage {
            case is LineFilterStage: continue
            case let json as JSONStage where parser == nil: (parser, extractions) = (.json, json.extractions)
            case let logfmt as LogfmtStage where parser == nil:
                (parser, extractions) = (.logfmt, logfmt.extractions)
            case let filter as LabelFilterStage:
                if parser != nil { predicates += filter.filter.fieldPredicates }
            default: break stages
            }
        }
        // Of a field under another name nothing is said here, nor of the level, which is found in the whole line.
        let known = predicates.filter { predicate in
            if predicate.field == LineLevel.label { return false }
            return extractions.isEmpty
                ? !predicate.field.hasSuffix("_extracted")
                : extractions.contains { $0.label == predicate.field && $0.path == predicate.field }
        }
        guard let parser, !known.isEmpty else { return nil }
        return (parser, known)
    }
}

extension LabelFilter {
    /// The comparisons that every line which passes satisfies.
    fileprivate var fieldPredicates: [FieldPredicate] {
        switch self {
        case .text(let matcher):
            guard matcher.operation == .equal, !matcher.value.isEmpty, !matcher.name.hasPrefix("__") else { return [] }
            return [FieldPredicate(matcher.name, .equal, matcher.value)]
        case .number(let label, let comparison, .plain(let value)):
            guard let comparison = FieldPredicate.Comparison(rawValue: comparison.rawValue) else { return [] }
            return [FieldPredicate(label, comparison, FloatText.plain(value), number: value)]
        case .and(let left, let right): return left.fieldPredicates + right.fieldPredicates
        case .number, .address, .or: return []
        }
    }
}
