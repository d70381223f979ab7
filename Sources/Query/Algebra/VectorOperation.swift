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
    /// Pays for the series of the result as they come up; nil for nobody.
    var context: QueryContext?
    /// Is told what the operator meets, for instance types it has no answer for.
    var tell: (BinaryOutcome.Remark) -> Void = { _ in }

    private var isSwapped: Bool { matching.cardinality == .oneToMany }

    func evaluate(_ left: [SeriesColumn], _ right: [SeriesColumn]) throws -> [SeriesColumn] {
        // "Many" is the side whose labels the result keeps; for one-to-one the left.
        let many = isSwapped ? right : left
        let one = isSwapped ? left : right
        // Prometheus does not look at one side of a step on which the other is empty; Loki does.
        let isWhole = !namesDuplicates || matching.fillLeft != nil || matching.fillRight != nil
        var sides = try OneSide(
            one, asking: isWhole ? nil : many, matching, isSwapped: isSwapped, namesDuplicates: namesDuplicates)
        var results = Results(
            steps: steps, isOneToOne: matching.cardinality == .oneToOne, labels: ResultLabels(operation, matching),
            context: context)
        for column in many {
            try context?.check()
            let place = sides.table.place(of: column.labels)
            try combine(column, place, &sides, &results)
        }
        if matching.fillLeft != nil { try fillMany(sides, &results) }
        return results.columns.filter { !$0.isEmpty }
    }

    /// One series of the "many" side with its partner, which may change from step to step.
    private func combine(
        _ column: SeriesColumn, _ signature: Int, _ sides: inout OneSide, _ results: inout Results
    ) throws {
        let group = signature < sides.groups.count ? signature : nil
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
                let other = partner.map { sides.columns[$0].labels } ?? sides.table.labels[signature]
                target = Target(partner: partner, place: try results.place(results.labels.of(column.labels, other)))
                if column.dropsName { results.columns[target.place].dropsName = true }
            }
            let isMatched = try put(element, other, at: step, target.place, signature, &results)
            if let group, isMatched { sides.groups[group].isMatched[step] = true }
        }
    }

    /// The common case, in one loop: numbers alone, and one partner for all steps. False where it is not that.
    private func combineNumbers(
        _ column: SeriesColumn, _ group: Int, _ signature: Int, _ sides: inout OneSide, _ results: inout Results
    ) throws -> Bool {
        guard column.histograms.isEmpty, sides.groups[group].members.count == 1,
            operation != .trimUpper, operation != .trimLower
        else { return false }
        let partner = sides.columns[sides.groups[group].members[0]]
        guard partner.histograms.isEmpty else { return false }
        let place = try results.place(results.labels.of(column.labels, partner.labels))
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
    private func fillMany(_ sides: OneSide, _ results: inout Results) throws {
        guard let fill = matching.fillLeft else { return }
        for (signature, group) in sides.groups.enumerated() {
            let labels = sides.table.labels[signature]
            for step in 0..<steps where !group.isMatched[step] {
                guard let partner = group.partner(at: step, sides.columns),
                    let element = sides.columns[partner].element(at: step)
                else { continue }
                let place = try results.place(results.labels.of(labels, sides.columns[partner].labels))
                _ = try put(.number(fill), element, at: step, place, signature, &results)
            }
        }
    }

    /// False where the operator has no answer for the two.
    private func put(
        _ many: ElementValue, _ one: ElementValue, at step: Int, _ place: Int, _ signature: Int,
        _ results: inout Results
    ) throws -> Bool {
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
}

/// The labels of results: those of the "many" side, less what matching leaves out, plus what it copies.
private struct ResultLabels {
    private let grouping: LabelGrouping?
    private let changesMeaning: Bool
    private let included: [String]

    init(_ operation: BinaryOperator, _ matching: VectorMatching) {
        changesMeaning = operation.changesMeaning
        grouping =
            matching.cardinality == .oneToOne
            ? LabelGrouping(matching.labels, keepsNames: matching.isOn) : nil
        included = matching.included
    }

    func of(_ many: Labels, _ one: Labels) -> Labels {
        var labels = many
        if changesMeaning { labels = LabelSets.withoutMetadata(labels) }
        if let grouping { labels = grouping.picked(labels) }
        for name in included { labels = labels.setting(name, to: one[name]) }
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
    /// The signatures: first those of this side, in the order of `groups`, then those that only the other side has.
    var table: GroupTable
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
        table = GroupTable(LabelGrouping(matching))
        for (index, column) in columns.enumerated() {
            let place = table.place(of: column.labels)
            guard place < groups.count else {
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
            "found duplicate series for the match group \(LabelSets.text(LabelGrouping(matching).picked(first))) on "
                + "the \(side) hand-side of the operation: [\(texts[0]), \(texts[1])]\(advice)")
    }
}

/// The series of a result as they come up, and which steps of them are taken.
private struct Results {
    let steps: Int
    let isOneToOne: Bool
    let labels: ResultLabels
    var columns: [SeriesColumn] = []
    private var places: [Labels: Int] = [:]
    /// Which steps have a match already, per signature (one-to-one) or per result (one-to-many).
    private var claims: [[Bool]] = []
    private let context: QueryContext?

    init(steps: Int, isOneToOne: Bool, labels: ResultLabels, context: QueryContext?) {
        self.steps = steps
        self.isOneToOne = isOneToOne
        self.labels = labels
        self.context = context
    }

    mutating func place(_ labels: Labels) throws(QueryInterruption) -> Int {
        if let place = places[labels] { return place }
        // The values, and a byte per step for the claim.
        try context?.reserve(SeriesColumn.bytes(steps: steps, labels) + steps, samples: steps)
        places[labels] = columns.count
        columns.append(SeriesColumn(labels: labels, count: steps))
        return columns.count - 1
    }

    /// Takes a step for a result; it must not have been taken before, even by a comparison that did not hold.
    mutating func claim(_ place: Int, _ signature: Int, at step: Int) throws(QueryError) {
        let claim = isOneToOne ? signature : place
        while claims.count <= claim { claims.append([]) }
        if claims[claim].isEmpty { claims[claim] = [Bool](repeating: false, count: steps) }
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
}
