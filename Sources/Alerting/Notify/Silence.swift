package import Telemetry

/// Mutes what its matchers all match between two times. As Alertmanager's, kept in the journal.
package struct Silence: Hashable, Sendable {
    /// Whether it works now.
    package enum State: String, Sendable {
        case pending
        case active
        case expired
    }

    package var id: String
    /// All must hold; at least one must not match the empty text.
    package var matchers: [LabelMatcher]
    package var startsAtMilliseconds: Int64
    package var endsAtMilliseconds: Int64
    package var createdBy: String
    package var comment: String
    package var updatedAtMilliseconds: Int64

    /// Whether it works at `now`.
    package func state(at now: Int64) -> State {
        if now >= endsAtMilliseconds { return .expired }
        return now < startsAtMilliseconds ? .pending : .active
    }

    /// Whether it mutes an alert of these labels at `now`.
    package func mutes(_ labels: Labels, at now: Int64) -> Bool {
        state(at: now) == .active && matchers.allSatisfy { $0.matches(labels) }
    }
}

/// What somebody asks to be silenced.
package struct SilenceRequest: Sendable {
    /// Nil for a new silence.
    package var id: String?
    package var matchers: [LabelMatcher]
    package var startsAtMilliseconds: Int64
    package var endsAtMilliseconds: Int64
    package var createdBy: String
    package var comment: String

    /// A request.
    package init(
        id: String? = nil, matchers: [LabelMatcher], startsAtMilliseconds: Int64, endsAtMilliseconds: Int64,
        createdBy: String, comment: String
    ) {
        self.id = id
        self.matchers = matchers
        self.startsAtMilliseconds = startsAtMilliseconds
        self.endsAtMilliseconds = endsAtMilliseconds
        self.createdBy = createdBy
        self.comment = comment
    }

    /// What is wrong with it, nil when nothing is.
    func complaint(now: Int64) -> String? {
        if matchers.isEmpty { return "a silence needs a matcher: an empty one would silence everything" }
        if matchers.allSatisfy(\.matchesAbsence) {
            return "every matcher matches an alert without the label: one must not, or everything would be silent"
        }
        if endsAtMilliseconds <= startsAtMilliseconds { return "the silence ends before it starts" }
        if endsAtMilliseconds <= now { return "the silence would end in the past" }
        if createdBy.isEmpty { return "a silence needs to say who made it" }
        if comment.isEmpty { return "a silence needs a comment that says why" }
        return nil
    }
}

extension Silence {
    /// Writes all fields.
    func write(to writer: inout JournalWriter) {
        writer.put(id)
        writer.put(matchers) { $0.put($1) }
        writer.put(startsAtMilliseconds)
        writer.put(endsAtMilliseconds)
        writer.put(createdBy)
        writer.put(comment)
        writer.put(updatedAtMilliseconds)
    }

    /// Reads all fields.
    init(from reader: inout JournalReader) throws(ByteError) {
        id = try reader.text()
        matchers = try reader.list { (reader) throws(ByteError) in try reader.matcher() }
        startsAtMilliseconds = try reader.signed()
        endsAtMilliseconds = try reader.signed()
        createdBy = try reader.text()
        comment = try reader.text()
        updatedAtMilliseconds = try reader.signed()
    }
}

extension JournalWriter {
    /// A matcher by its three texts.
    mutating func put(_ matcher: LabelMatcher) {
        put(matcher.name)
        put(matcher.operation.rawValue)
        put(matcher.value)
    }
}

extension JournalReader {
    /// A matcher; one whose expression no longer compiles is damage.
    mutating func matcher() throws(ByteError) -> LabelMatcher {
        let name = try text()
        let operation = try choice(LabelMatcher.Operation.self)
        let value = try text()
        do throws(RegularExpressionError) {
            return try LabelMatcher(name, operation, value)
        } catch {
            throw ByteError(offset: 0, reason: error.description)
        }
    }
}
