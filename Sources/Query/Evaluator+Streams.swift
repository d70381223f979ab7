internal import Synchronization
internal import Telemetry

/// Series by series evaluation: what can be computed of one series alone is, and nobody holds all of them.
extension Evaluator {
    /// Below so many samples a stream is folded in one piece: handing pieces to other threads would cost more.
    private static let laneSamplesMinimum = 1_000_000
    private static let lanesMaximum = 8

    /// The series of an expression that is known to be a vector, to be computed one by one where that is possible.
    func stream(_ expression: Expression) throws -> ColumnStream {
        try context.check()
        let isComputedOnce = times.count > 1 && expression.isStepInvariant
        guard !isComputedOnce, canStream(expression) else { return ColumnStream(try vector(expression)) }
        guard let profile else { return try series(of: expression) }
        return try profile.recordStream(expression) { try series(of: expression) }
    }

    /// The series of an expression for which `canStream` holds.
    func series(of expression: Expression) throws -> ColumnStream {
        switch expression {
        case .parenthesis(let node): return try stream(node.inner)
        case .vector(let selector) where selector.extent != .smoothed: return try latestStream(selector, .value)
        case .unary(let node):
            let operand = try stream(node.operand)
            return node.isNegation ? operand.map { $0.negate() } : operand
        case .call(let node):
            switch node.function.code {
            case .perSample(let transform):
                return try stream(node.arguments[0]).map { $0.mapNumbers { _, value in transform(value) } }
            case .window(let function): return try windowStream(function, node)
            default: break
            }
        case .binary(let node):
            if let stream = try scalarOperation(node) { return stream }
        default: break
        }
        return ColumnStream(try vector(expression))
    }

    /// Whether `stream` computes the series of an expression one by one, rather than all at once.
    func canStream(_ expression: Expression) -> Bool {
        switch expression {
        case .parenthesis(let node): canStream(node.inner)
        case .vector(let selector): selector.extent != .smoothed
        case .unary(let node): canStream(node.operand)
        case .call(let node):
            switch node.function.code {
            case .perSample: canStream(node.arguments[0])
            case .window: true
            default: false
            }
        case .binary(let node):
            if node.left.type == .scalar, node.right.type == .vector {
                canStream(node.right)
            } else {
                node.left.type == .vector && node.right.type == .scalar && canStream(node.left)
            }
        default: false
        }
    }

    /// All series of a stream.
    func collected(_ stream: ColumnStream) throws -> [SeriesColumn] {
        let context = context
        return try fold(stream, { [SeriesColumn]() }) { columns, column in
            try context.reserve(column.bytes, samples: column.values.count)
            columns.append(column)
            // The values are the answer's now; the next series gets memory of its own.
            column = .blank
        } _: {
            $0 += $1
        }
    }

    /// Gives back what was reserved for columns that are not needed any more.
    func release(_ columns: [SeriesColumn]) {
        for column in columns { context.release(column.bytes, samples: column.values.count) }
    }

    /// Reserves what columns hold that came up otherwise than by `collected`.
    func reserve(_ columns: [SeriesColumn]) throws {
        for column in columns { try context.reserve(column.bytes, samples: column.values.count) }
    }

    /// Folds the series of a stream, on several threads where there are many samples.
    ///
    /// A large stream is cut into runs of series whose number depends on the query and its data alone; runs are folded
    /// apart and merged in order. So the answer is the same, to the last bit, however many threads took part.
    func fold<Partial: Sendable>(
        _ stream: ColumnStream, _ start: @escaping @Sendable () throws -> Partial,
        _ add: @escaping @Sendable (inout Partial, inout SeriesColumn) throws -> Void,
        _ merge: (inout Partial, Partial) throws -> Void
    ) throws -> Partial {
        defer { context.release(stream.reserved.bytes, samples: stream.reserved.samples) }
        let isLarge = stream.samples >= Evaluator.laneSamplesMinimum
        let lanes = isLarge ? min(Evaluator.lanesMaximum, stream.count) : 1
        guard lanes > 1 else {
            var partial = try start()
            try walk(stream, 0..<stream.count) { column in
                try add(&partial, &column)
                return true
            }
            return partial
        }
        let results = LaneResults<Partial>(count: lanes)
        (context.parallel ?? LoneThread()).perform(lanes) { lane in
            let result = Result {
                var partial = try start()
                try walk(stream, stream.count * lane / lanes..<stream.count * (lane + 1) / lanes) { column in
                    try add(&partial, &column)
                    return !results.hasFailed
                }
                return partial
            }
            results.put(result, lane)
        }
        var partials = try results.taken()
        var whole = partials.removeFirst()
        for partial in partials { try merge(&whole, partial) }
        return whole
    }

    /// Calls `body` with the series of a run, until it says to stop.
    private func walk(
        _ stream: ColumnStream, _ indexes: Range<Int>, _ body: (inout SeriesColumn) throws -> Bool
    ) throws {
        let workspace = Workspace(countedSteps: stepSamples == nil ? 0 : times.count)
        let bytes = times.count * 16
        try context.reserve(bytes)
        defer {
            context.release(bytes)
            workspace.release(in: context)
            stepSamples?.add(workspace.stepSamples)
        }
        var column = SeriesColumn.blank
        for index in indexes {
            try context.check()
            if try stream.fill(index, workspace, &column), try !body(&column) { return }
        }
    }
}

/// What the lanes of a fold came to.
private final class LaneResults<Partial: Sendable>: Sendable {
    private let results: Mutex<[Result<Partial, any Error>?]>
    private let failed = Atomic<Bool>(false)

    init(count: Int) {
        results = Mutex([Result<Partial, any Error>?](repeating: nil, count: count))
    }

    /// Whether the others may stop.
    var hasFailed: Bool { failed.load(ordering: .relaxed) }

    func put(_ result: Result<Partial, any Error>, _ lane: Int) {
        if case .failure = result { failed.store(true, ordering: .relaxed) }
        results.withLock { $0[lane] = result }
    }

    /// All of them in order; throws the first error.
    func taken() throws -> [Partial] {
        try results.withLock { results in
            defer { results = [] }
            return try results.compactMap { try $0?.get() }
        }
    }
}

/// Where nobody helps.
private struct LoneThread: ParallelPerforming {
    func perform(_ count: Int, _ body: @escaping @Sendable (Int) -> Void) {
        for part in 0..<count { body(part) }
    }
}

/// How many samples each step of a query looked at.
final class StepSamples: Sendable {
    private let counts: Mutex<[Int]>

    /// A count for each of `steps` steps.
    init(steps: Int) {
        counts = Mutex([Int](repeating: 0, count: steps))
    }

    func add(_ added: [Int]) {
        counts.withLock { counts in
            for step in 0..<min(counts.count, added.count) { counts[step] += added[step] }
        }
    }

    /// Adds the same to every step.
    func addToAll(_ added: Int) {
        counts.withLock { counts in
            for step in counts.indices { counts[step] += added }
        }
    }

    var values: [Int] { counts.withLock { $0 } }
}
