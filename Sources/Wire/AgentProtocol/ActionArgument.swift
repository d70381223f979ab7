/// The names of arguments of actions, which a server puts into commands and an agent looks for: said once for both.
package enum ActionArgument {
    /// `container.restart`: how long the process may take to end by itself; whole seconds, or a duration.
    package static let grace = "grace"
    /// `container.restart`: only if the container has not been started since; RFC 3339.
    package static let startedAt = "started_at"
}
