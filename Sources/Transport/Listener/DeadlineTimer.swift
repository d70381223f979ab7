internal import NIOCore

/// A deadline that is moved with nearly every message and almost never met: the loop's timer is only touched when it
/// fires too early or would fire too late. Used on one event loop.
final class DeadlineTimer {
    private let eventLoop: any EventLoop
    private let action: () -> Void
    private var deadline: NIODeadline?
    private var scheduledFor: NIODeadline?
    private var scheduled: Scheduled<Void>?

    /// A timer that does nothing until `set`.
    init(on eventLoop: any EventLoop, action: @escaping () -> Void) {
        self.eventLoop = eventLoop
        self.action = action
    }

    /// Calls the action when `milliseconds` pass without another `set` or a `clear`.
    func set(milliseconds: Int64) {
        let wanted = NIODeadline.now() + .milliseconds(milliseconds)
        deadline = wanted
        if let scheduledFor, scheduledFor <= wanted { return }
        scheduled?.cancel()
        schedule(for: wanted)
    }

    /// Nothing is waited for.
    func clear() { deadline = nil }

    /// Lets go of the action for good.
    func cancel() {
        deadline = nil
        scheduled?.cancel()
        scheduled = nil
    }

    private func schedule(for time: NIODeadline) {
        scheduledFor = time
        scheduled = eventLoop.assumeIsolated().scheduleTask(deadline: time) { self.fire() }
    }

    private func fire() {
        scheduled = nil
        scheduledFor = nil
        guard let deadline else { return }
        if deadline > .now() {
            schedule(for: deadline)
        } else {
            self.deadline = nil
            action()
        }
    }
}
