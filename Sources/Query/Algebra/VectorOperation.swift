internal import Telemetry

/// Arithmetic and comparison between two vectors: series that share a signature meet, one to one or one to many.
///
/// Source: `VectorBinop` in Prometheus 3.14's `promql/engine.go`, turned from step-by-step to series-by-series.
struct VectorOperation {
    let operation: BinaryOperator
    let matching: VectorMatching
    let returnsBool: Bool
    let steps: Int
    /// Whether the error for two equal partners names them, as Prometheus does, or only their side, as Loki does.
    var namesDuplicates = true
    /// Is told what the operator meets, for instance types it has no answer for.
    var tell: (BinaryOutcome.Remark) -> Void = { _ in }

    private var isSwapped: Bool { matching.cardinality == .oneToMany }

    func evaluate(_ left: [SeriesColumn], _ right: [SeriesColumn]) throws(QueryError) -> [SeriesColumn] {
        // "Many" is the side whose labels the result keeps; for one-to-one the left.
        let many = isSwapped ? right : left
        let one = isSwapped ? left : right
        // Prometheus does not look at one side of a step on which the other is empty; Loki does.
        let isWhole = !namesDuplicates || matching.fillLeft != nil || matching.fillRight != nil
        var sides = try OneSide(
            one, asking: isWhole ? nil : many, matching, isSwapped: isSwapped, namesDuplicates: namesDuplicates)
        var results = Results(steps: steps, isOneToOne: matching.cardinality == .oneToOne)
        for column in many {
            let signature = LabelSets.signature(column.labels, matching)
            try combine(column, signature, &sides, &results)
        }
        if matching.fillLeft != nil { try fillMany(sides, &results) }
        return results.columns.filter { !$0.isEmpty }
    }

    /// One series of the "many" side with its partner, which may change from step to step.
    private func combine(
        _ column: SeriesColumn, _ signature: Labels, _ sides: inout OneSide, _ results: inout Results
    ) throws(QueryError) {
        let group = sides.places[signature]
        // As in Prometheus: with `group_right` too, `fill_right` is for the "one" side and `fill_left` for "many".
        let fill = matching.fillRight
        if group == nil, fill == nil { return }
        if let group, fill == nil, try combineNumbers(column, group, signature, &sides, &results) { return }
        var target = Target()
        for step in 0..<steps {
            guard let element = column.element(at: step) else { continue }
            var partner: Int?
            if let group { partner = sides.groups[group].partner(at: step, sides.columns) }
            guard let other = partner.flatMap({ sides.columns[$0].element(at: step) }) ?? fill.map({ .number($0) })
            else { continue }
            if target.partner != partner || !target.isKnown {
                let labels = partner.map { sides.columns[$0].labels } ?? signature
                target = Target(partner: partner, place: results.place(resultLabels(column.labels, labels)))
                if column.dropsName { results.columns[target.place].dropsName = true }
            }
            let isMatched = try put(element, other, at: step, target.place, signature, &results)
            if let group, isMatched { sides.groups[group].isMatched[step] = true }
        }
    }

    /// The common case, in one loop: numbers alone, and one partner for all steps. False where it is not that.
    private func combineNumbers(
        _ column: SeriesColumn, _ group: Int, _ signature: Labels, _ sides: inout OneSide, _ results: inout Results
    ) throws(QueryError) -> Bool {
        guard column.histograms.isEmpty, sides.groups[group].members.count == 1,
            operation != .trimUpper, operation != .trimLower
        else { return false }
        let partner = sides.columns[sides.groups[group].members[0]]
        guard partner.histograms.isEmpty else { return false }
        let place = results.place(resultLabels(column.labels, partner.labels))
        if returnsBool || column.dropsName { results.columns[place].dropsName = true }
        let isFilter = operation.isComparison && !returnsBool
        let needsMatches = matching.fillLeft != nil
        for step in 0..<steps {
            let (many, one) = (column.values[step], partner.values[step])
            if SeriesColumn.isAbsent(many) || SeriesColumn.isAbsent(one) { continue }
            try results.claim(place, signature, at: step)
            if needsMatches { sides.groups[group].isMatched[step] = true }
            let (left, right) = isSwapped ? (one, many) : (many, one)
            if !isFilter {
                results.columns[place].values[step] = Arithmetic.apply(operation, left, right)
            } else if Arithmetic.holds(operation, left, right) {
                results.columns[place].values[step] = left
            }
        }
        return true
    }

    /// Where the values of the present pair of series go.
    private struct Target {
        var partner: Int?
        var place = 0
        var isKnown = false

        init() {}

        init(partner: Int?, place: Int) {
            self.partner = partner
            self.place = place
            isKnown = true
        }
    }

    /// Series of the "one" side that met nobody, with a number in place of the missing partner.
    private func fillMany(_ sides: OneSide, _ results: inout Results) throws(QueryError) {
        guard let fill = matching.fillLeft else { return }
        for (signature, place) in sides.places {
            let group = sides.groups[place]
            for step in 0..<steps where !group.isMatched[step] {
                guard let partner = group.partner(at: step, sides.columns),
                    let element = sides.columns[partner].element(at: step)
                else { continue }
                let place = results.place(resultLabels(signature, sides.columns[partner].labels))
                _ = try put(.number(fill), element, at: step, place, signature, &results)
            }
        }
    }

    /// False where the operator has no answer for the two.
    private func put(
        _ many: ElementValue, _ one: ElementValue, at step: Int, _ place: Int, _ signature: Labels,
        _ results: inout Results
    ) throws(QueryError) -> Bool {
        let outcome =
            isSwapped ? BinaryOutcome(operation, one, many) : BinaryOutcome(operation, many, one)
        for remark in outcome.remarks { tell(remark) }
        guard let value = outcome.value else { return false }
        try results.claim(place, signature, at: step)
        if returnsBool {
            results.columns[place].values[step] = outcome.holds ? 1 : 0
            results.columns[place].dropsName = true
        } else if outcome.holds {
            results.columns[place].set(value, at: step)
        }
        return true
    }

    /// The labels of a result: those of the "many" side, less what matching leaves out, plus what it copies.
    private func resultLabels(_ many: Labels, _ one: Labels) -> Labels {
        var labels = many
        if operation.changesMeaning { labels = LabelSets.withoutMetadata(labels) }
        if matching.cardinality == .oneToOne {
            let names = Set(matching.labels)
            labels = matching.isOn ? labels.keeping(names) : labels.dropping(names)
        }
        for name in matching.included { labels = labels.setting(name, to: one[name]) }
        return labels
    }
}

/// The side of a match on which at most one series per signature may have a value at a step.
private struct OneSide {
    struct Group {
        var members: [Int]
        /// Whether the step's value met a partner.
        var isMatched: [Bool]

        /// The member with a value at the step.
        func partner(at step: Int, _ columns: [SeriesColumn]) -> Int? {
            members.count == 1
                ? (columns[members[0]].isPresent(at: step) ? members[0] : nil)
                : members.first { columns[$0].isPresent(at: step) }
        }
    }

    let columns: [SeriesColumn]
    private(set) var places: [Labels: Int] = [:]
    var groups: [Group] = []

    /// `others` are those of the other side, nil when all steps count whether they have a value there or not.
    init(
        _ columns: [SeriesColumn], asking others: [SeriesColumn]?, _ matching: VectorMatching, isSwapped: Bool,
        namesDuplicates: Bool
    ) throws(QueryError) {
        self.columns = columns
        var presence: [Bool] = []
        func isAsked(_ step: Int) -> Bool {
            guard let others else { return true }
            if presence.isEmpty {
                presence = columns[0].values.indices.map { step in others.contains { $0.isPresent(at: step) } }
            }
            return presence[step]
        }
        for (index, column) in columns.enumerated() {
            let signature = LabelSets.signature(column.labels, matching)
            guard let place = places[signature] else {
                places[signature] = groups.count
                groups.append(
                    Group(members: [index], isMatched: [Bool](repeating: false, count: column.values.count)))
                continue
            }
            for other in groups[place].members {
                for step in column.values.indices
                where column.isPresent(at: step) && columns[other].isPresent(at: step) && isAsked(step) {
                    let members = namesDuplicates ? (columns[other].labels, column.labels) : nil
                    throw OneSide.duplicate(members, matching, isSwapped: isSwapped)
                }
            }
            groups[place].members.append(index)
        }
    }

    private static func duplicate(
        _ members: (Labels, Labels)?, _ matching: VectorMatching, isSwapped: Bool
    ) -> QueryError {
        let side = isSwapped ? "left" : "right"
        let advice = ";many-to-many matching not allowed: matching labels must be unique on one side"
        guard let (first, second) = members else {
            return QueryError(.execution, "found duplicate series on the \(side) hand-side\(advice)")
        }
        let texts = [LabelSets.text(first), LabelSets.text(second)].sorted()
        return QueryError(
            .execution,
            "found duplicate series for the match group \(LabelSets.text(LabelSets.signature(first, matching))) on the "
                + "\(side) hand-side of the operation: [\(texts[0]), \(texts[1])]\(advice)")
    }
}

/// The series of a result as they come up, and which steps of them are taken.
private struct Results {
    let steps: Int
    let isOneToOne: Bool
    var columns: [SeriesColumn] = []
    private var places: [Labels: Int] = [:]
    /// Which steps have a match already, per signature (one-to-one) or per result (one-to-many).
    private var claims: [[Bool]] = []
    private var claimPlaces: [Labels: Int] = [:]
    private var lastSignature: (labels: Labels, place: Int)?

    init(steps: Int, isOneToOne: Bool) {
        self.steps = steps
        self.isOneToOne = isOneToOne
    }

    mutating func place(_ labels: Labels) -> Int {
        if let place = places[labels] { return place }
        places[labels] = columns.count
        columns.append(SeriesColumn(labels: labels, count: steps))
        return columns.count - 1
    }

    /// Takes a step for a result; it must not have been taken before, even by a comparison that did not hold.
    mutating func claim(_ place: Int, _ signature: Labels, at step: Int) throws(QueryError) {
        let claim = isOneToOne ? claimPlace(signature) : claimPlace(columns[place].labels)
        guard claims[claim][step] else {
            claims[claim][step] = true
            return
        }
        throw QueryError(
            .execution,
            isOneToOne
                ? "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)"
                : "multiple matches for labels: grouping labels must ensure unique matches")
    }

    private mutating func claimPlace(_ labels: Labels) -> Int {
        if let last = lastSignature, last.labels == labels { return last.place }
        let place = claimPlaces[labels] ?? claims.count
        if place == claims.count {
            claimPlaces[labels] = place
            claims.append([Bool](repeating: false, count: steps))
        }
        lastSignature = (labels, place)
        return place
    }
}
