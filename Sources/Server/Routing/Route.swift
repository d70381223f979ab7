internal import Transport

/// One line of the route table.
struct Route: Sendable {
    /// How failures are worded.
    enum Wording: Sendable {
        /// `{"status":"error",…}`
        case json
        case text
    }

    let methods: [String]
    /// The path, with `{name}` for a segment that varies.
    let pattern: String
    let permission: Permission?
    let wording: Wording
    /// Whether it does no lasting work on the thread that asks, the event loop's: it reads its parameters and leads to
    /// a query's thread, or takes a small push and leads to a log's.
    let isBrief: Bool
    /// A request with a longer body is not brief.
    let briefBytesMaximum: Int
    let handle: @Sendable (ServerRequest) async throws -> ListenerResponse
    /// Forms up to this are read at once, as query strings are.
    static let formBytes = 16 << 10
    /// Pushes up to this are read and resolved at once.
    static let pushBytes = 64 << 10
    private let segments: [Substring]

    /// A route; `permission` is nil only for what tells nothing (liveness).
    init(
        _ methods: String, _ pattern: String, _ permission: Permission?, wording: Wording = .json,
        isBrief: Bool = false, briefBytesMaximum: Int = Route.formBytes,
        _ handle: @escaping @Sendable (ServerRequest) async throws -> ListenerResponse
    ) {
        self.methods = methods.split(separator: " ").map(String.init)
        self.pattern = pattern
        self.permission = permission
        self.wording = wording
        self.isBrief = isBrief
        self.briefBytesMaximum = briefBytesMaximum
        self.handle = handle
        segments = pattern.split(separator: "/")
    }

    /// Whether it answers a method; who takes `GET` takes `HEAD`.
    func takes(_ method: String) -> Bool {
        methods.contains(method) || (method == "HEAD" && methods.contains("GET"))
    }

    /// Whether no segment of the path varies.
    var isFixed: Bool { !pattern.contains("{") }

    /// What the path has in the pattern's places; nil when it is not this route's.
    func match(_ path: [String]) -> [String: String]? {
        guard path.count == segments.count else { return nil }
        var captures: [String: String] = [:]
        for (segment, part) in zip(segments, path) {
            if segment.hasPrefix("{") {
                captures[String(segment.dropFirst().dropLast())] = part
            } else if segment != part {
                return nil
            }
        }
        return captures
    }
}
