internal import Telemetry

/// Port: lines that are in no file: a journal, a socket, an engine's answer. A source is one type and one line in
/// `LineSources.all`. Belongs to the tail thread.
protocol LineSource: AnyObject {
    /// Nil when it is switched off or cannot work here, which it then says.
    init?(_ context: LineSourceContext)

    /// What makes a look worthwhile when it becomes readable. Asked before each wait.
    var descriptors: [Int32] { get }

    /// Reads what is new, about `look.budget` bytes of lines at most.
    func harvest(_ look: LineSourceLook) -> LineHarvest
}

/// What a source is made from.
struct LineSourceContext {
    var host: HostRoot
    var node: String
    var agent: String
    var settings: LogSettings
    var notices: Notices
    /// Where the server has a source, from an earlier run.
    var reach: (TailPositions.Place) -> TailPositions.Reach?
    /// Nil where there is no engine to ask.
    var engine: DockerEngine?
    /// Wakes the tail thread.
    var waker: Waker
    var wallNanoseconds: Int64
}

/// What a source needs to know at each look.
struct LineSourceLook {
    var snapshot: ContainerRegistry.Snapshot
    /// Whether there is room; without it lines stay where they are, as far as that can be.
    var isAccepting: Bool
    var budget: Int
    var now: Int64
    var wallNanoseconds: Int64
}

/// What one look at a source brought.
struct LineHarvest {
    var streams: [LogLines] = []
    var losses: [LogLoss] = []
    /// How far the source is read when all of this is stored.
    var reaches: [(TailPositions.Place, TailPositions.Reach)] = []
    var bytes = 0
    var hasMore = false
}

/// The sources that are no files.
enum LineSources {
    /// The only place a source is listed.
    static var all: [any LineSource.Type] { [JournalSource.self, SyslogSource.self, EngineLogSource.self] }
}

/// Lines of many streams of one origin, each line standing for one number of the origin's count.
struct CountedLines {
    private var lines: [Labels: LogLines] = [:]
    private var order: [Labels] = []
    let origin: LogOrigin
    private(set) var bytes = 0

    /// No lines of `origin` yet.
    init(origin: LogOrigin) {
        self.origin = origin
    }

    /// Adds the line of that number.
    mutating func add(
        _ labels: Labels, nanoseconds: Int64, _ text: some Sequence<UInt8>, number: UInt64, metadata: Labels = .empty
    ) {
        if lines[labels] == nil {
            lines[labels] = LogLines(labels: labels, origin: origin)
            order.append(labels)
        }
        lines[labels]?.append(
            nanoseconds: nanoseconds, line: text, offsets: number..<(number + 1), metadata: metadata)
        bytes += (lines[labels]?.line((lines[labels]?.count ?? 1) - 1).count ?? 0) + 64
    }

    /// The streams in the order in which they began.
    var streams: [LogLines] { order.compactMap { lines[$0] } }
}
