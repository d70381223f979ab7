internal import Telemetry
internal import Wire

/// What the owner of this host allows the server to have done here: the allow-list of actions (DESIGN D8). The layout
/// of the file is in docs/specs/actions.md. Without a file nothing is allowed: the agent observes only.
struct ActionPolicy: Equatable, Sendable {
    /// One kind of action, for some containers, within bounds.
    struct Permission: Equatable, Sendable {
        var action: String
        /// Any one of these has to match the target.
        var selectors: [Selector]
        var graceSeconds: ClosedRange<Int64>
        /// What one target may suffer.
        var limit: RateLimit
        /// What the whole host may suffer under this permission; nil for no more than the sum of its targets.
        var totalLimit: RateLimit?
    }

    /// Conditions on a container's identity, all of which must hold. There is at least one.
    struct Selector: Equatable, Sendable {
        var conditions: [Condition]

        /// Whether a container satisfies all conditions.
        func matches(_ container: Container) -> Bool { conditions.allSatisfy { $0.matches(container) } }
    }

    /// A field of the identity and a pattern in which `*` stands for any text and `?` for one character.
    struct Condition: Equatable, Sendable {
        var field: Field
        var pattern: String

        /// Whether the container's field is as the pattern says. An absent field satisfies no pattern.
        func matches(_ container: Container) -> Bool {
            guard let value = field.value(of: container), !value.isEmpty else { return false }
            return GlobPattern.matches(pattern, value)
        }
    }

    /// What a selector can ask for.
    enum Field: Hashable, Sendable {
        case service
        case name
        case image
        case namespace
        case pod
        case label(String)

        fileprivate func value(of container: Container) -> String? {
            switch self {
            case .service: container.service
            case .name: container.name
            case .image: container.image
            case .namespace: container.namespace
            case .pod: container.pod
            case .label(let key): container.labels[key]
            }
        }
    }

    /// At most `count` in any span of `milliseconds`.
    struct RateLimit: Equatable, Sendable {
        var count: Int
        var milliseconds: Int64
    }

    var permissions: [Permission]

    /// Nothing is allowed.
    static let observeOnly = ActionPolicy(permissions: [])

    /// The permission under which `action` may be done to `container`; nil when there is none.
    func permission(for action: String, on container: Container) -> Permission? {
        permissions.first { permission in
            permission.action == action && permission.selectors.contains { $0.matches(container) }
        }
    }
}

extension ActionPolicy {
    /// Reads a file's text. Everything that is not understood is an error with its line: a typing error must never
    /// widen what is allowed.
    init(parsing text: String, file: String) throws(ConfigurationError) {
        guard let value = try YAMLValue.parse(text, file: file) else {
            self = .observeOnly
            return
        }
        var mapping = try value.mapping()
        var permissions: [Permission] = []
        for element in try mapping.elements("actions") { permissions.append(try Self.permission(element)) }
        try mapping.finish()
        self.init(permissions: permissions)
    }

    private static func permission(_ value: YAMLValue) throws(ConfigurationError) -> Permission {
        var mapping = try value.mapping()
        let action = try mapping.required("action")
        let name = try action.text()
        guard Actions.all.contains(where: { $0.name == name }) else {
            let known = Actions.all.map { $0.name }.joined(separator: ", ")
            throw action.error("there is no action \(QuotedText.quoted(name)); known are: \(known)")
        }
        let targets = try mapping.required("targets")
        var selectors: [Selector] = []
        for element in try targets.elements() { selectors.append(try selector(element)) }
        guard !selectors.isEmpty else {
            throw targets.error("no target is named; write at least one, with at least one condition")
        }
        let grace = mapping.optional("grace")
        let limit = try rateLimit(try mapping.required("limit"))
        var totalLimit: RateLimit?
        if let total = mapping.optional("total_limit") { totalLimit = try rateLimit(total) }
        try mapping.finish()
        return Permission(
            action: name, selectors: selectors, graceSeconds: try graceSeconds(grace), limit: limit,
            totalLimit: totalLimit)
    }

    private static func selector(_ value: YAMLValue) throws(ConfigurationError) -> Selector {
        var mapping = try value.mapping()
        var conditions: [Condition] = []
        let fields: [(String, Field)] = [
            ("service", .service), ("name", .name), ("image", .image), ("namespace", .namespace), ("pod", .pod),
        ]
        for (key, field) in fields {
            guard let pattern = mapping.optional(key) else { continue }
            conditions.append(Condition(field: field, pattern: try self.pattern(pattern)))
        }
        if let labels = mapping.optional("labels") {
            for (key, pattern) in try labels.pairs() {
                conditions.append(Condition(field: .label(try key.text()), pattern: try self.pattern(pattern)))
            }
        }
        try mapping.finish()
        guard !conditions.isEmpty else {
            throw value.error("an empty target would match every container; name a service, name, image, …")
        }
        return Selector(conditions: conditions)
    }

    private static func pattern(_ value: YAMLValue) throws(ConfigurationError) -> String {
        let pattern = try value.text()
        guard !pattern.isEmpty else { throw value.error("an empty pattern matches nothing") }
        return pattern
    }

    private static func rateLimit(_ value: YAMLValue) throws(ConfigurationError) -> RateLimit {
        let text = try value.text("a limit such as 3/1h")
        let parts = text.split(separator: "/", maxSplits: 1)
        guard parts.count == 2, let count = Int(parts[0]), (1...10_000).contains(count),
            let milliseconds = try? Durations.milliseconds(prometheus: String(parts[1])),
            (1_000...RateLimit.spanMilliseconds).contains(milliseconds)
        else {
            throw value.error("\(text) is no limit: write COUNT/SPAN, for example 3/1h (1 to 10000, 1s to 30d)")
        }
        return RateLimit(count: count, milliseconds: milliseconds)
    }

    private static func graceSeconds(_ value: YAMLValue?) throws(ConfigurationError) -> ClosedRange<Int64> {
        guard let value else { return 0...30 }
        var mapping = try value.mapping()
        let minimum = try mapping.durationMilliseconds("min") ?? 0
        let maximum = try mapping.durationMilliseconds("max") ?? 30_000
        try mapping.finish()
        guard minimum >= 0, minimum <= maximum, maximum <= 600_000 else {
            throw value.error("min must not be above max, and max not above 10m")
        }
        return minimum / 1000...maximum / 1000
    }
}

extension ActionPolicy.RateLimit {
    /// The longest span a limit may have, which bounds what is remembered.
    static let spanMilliseconds: Int64 = 30 * 86_400_000
}

/// Patterns in which `*` stands for any text and `?` for one character; everything else for itself.
enum GlobPattern {
    /// Whether `text` as a whole is as `pattern` says. Linear in the product of the lengths.
    static func matches(_ pattern: String, _ text: String) -> Bool {
        let pattern = Array(pattern.unicodeScalars)
        let text = Array(text.unicodeScalars)
        var index = 0
        var place = 0
        var star: Int?
        var retry = 0
        while place < text.count {
            if index < pattern.count, pattern[index] == "?" || (pattern[index] == text[place] && pattern[index] != "*")
            {
                index += 1
                place += 1
            } else if index < pattern.count, pattern[index] == "*" {
                star = index
                retry = place
                index += 1
            } else if let star {
                index = star + 1
                retry += 1
                place = retry
            } else {
                return false
            }
        }
        return pattern[index...].allSatisfy { $0 == "*" }
    }
}
