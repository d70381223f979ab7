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
    /// Whether a small request is answered without lasting work on the thread that asks.
    let isQuick: Bool
    let handle: @Sendable (ServerRequest) async throws -> ListenerResponse
    private let segments: [Substring]

    /// A route; `permission` is nil only for what tells nothing (liveness).
    init(
        _ methods: String, _ pattern: String, _ permission: Permission?, wording: Wording = .json,
        isQuick: Bool = false,
        _ handle: @escaping @Sendable (ServerRequest) async throws -> ListenerResponse
    ) {
        self.methods = methods.split(separator: " ").map(String.init)
        self.pattern = pattern
        self.permission = permission
        self.wording = wording
        self.isQuick = isQuick
        self.handle = handle
        segments = pattern.split(separator: "/")
    }

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
