internal import Disk
internal import Synchronization
internal import Telemetry

/// Lets appends through while the log is read back, to a head of their own; makes them wait for the moment in which
/// the heads change.
///
/// The head of their own gives out ids, knows what to declare in the log and what was sent twice since the start. It
/// is thrown away: whatever is acknowledged is in the log, and the log is read to its end.
final class StartGate: Sendable {
    /// Where an append goes.
    enum Entrance {
        /// To the head of the time before; `leave` must be called once it is answered.
        case provisional(Head)
        /// It is tried again as soon as the heads have changed.
        case waits
        case open
        /// The log cannot be read back: why.
        case failed(String)
    }

    private enum Phase {
        case reading
        /// Nothing new is let in, so that the log has an end that can be reached.
        case joining
        case open
        case failed(String)
    }

    private struct State {
        var phase = Phase.reading
        var provisional: Head?
        /// Appends that were let in and are not answered yet.
        var underWay = 0
        var waiting: [@Sendable () -> Void] = []
        var whenOver: [@Sendable () -> Void] = []
        /// Whether a segment was begun whose first records know nothing of the time before the start.
        var owesPreamble = false
    }

    /// Whether the log is read back, so that there is one head only.
    let isOpen = Atomic<Bool>(false)
    /// Samples that the head of the time before refused, and therefore told of.
    let samplesRefused = Atomic<Int>(0)
    /// How much of the log is read, in thousandths.
    let progress = Atomic<Int>(0)
    private let state: Mutex<State>
    private let drained = Semaphore()

    /// Closed, with an empty head for what comes meanwhile.
    init(_ provisional: Head) {
        var state = State()
        state.provisional = provisional
        self.state = Mutex(state)
    }

    /// Lets an append in, or keeps `again` until it may be.
    func enter(_ again: @escaping @Sendable () -> Void) -> Entrance {
        state.withLock { state in
            switch (state.phase, state.provisional) {
            case (.reading, .some(let head)):
                state.underWay += 1
                return .provisional(head)
            case (.joining, _):
                state.waiting.append(again)
                return .waits
            case (.failed(let reason), _): return .failed(reason)
            case (.open, _), (.reading, .none): return .open
            }
        }
    }

    /// An append that was let in is answered.
    func leave() {
        let isLast = state.withLock { state in
            state.underWay -= 1
            if case .joining = state.phase { return state.underWay == 0 }
            return false
        }
        if isLast { drained.post() }
    }

    /// Lets nothing in any more.
    func beginJoining() { state.withLock { $0.phase = .joining } }

    /// Blocks until everything that was let in is answered.
    func waitUntilDrained() {
        while state.withLock({ $0.underWay > 0 }) { drained.wait() }
    }

    /// There is one head from now on.
    func open() {
        progress.store(1000, ordering: .relaxed)
        end(.open)
    }

    /// The log cannot be read back.
    func fail(_ reason: String) { end(.failed(reason)) }

    private func end(_ phase: Phase) {
        let calls = state.withLock { state in
            state.phase = phase
            if case .open = phase {
                state.provisional = nil
                isOpen.store(true, ordering: .releasing)
            }
            defer { (state.waiting, state.whenOver) = ([], []) }
            return state.waiting + state.whenOver
        }
        for call in calls { call() }
    }

    /// Calls `body` once the log is read back or cannot be; at once if that is so already.
    func whenOver(_ body: @escaping @Sendable () -> Void) {
        let isOver = state.withLock { state in
            switch state.phase {
            case .open, .failed: return true
            case .reading, .joining:
                state.whenOver.append(body)
                return false
            }
        }
        if isOver { body() }
    }

    /// Why the log cannot be read back; nil while nothing is wrong.
    var failure: String? {
        state.withLock { state in
            if case .failed(let reason) = state.phase { return reason }
            return nil
        }
    }

    /// The bytes that the head of the time before holds.
    var memoryBytes: Int { provisional?.memoryBytes ?? 0 }

    /// The rows that it holds, in bytes.
    var rowBytes: Int { provisional?.rowBytes.load(ordering: .relaxed) ?? 0 }

    private var provisional: Head? { state.withLock { $0.provisional } }

    /// What a new segment begins with, from the head that appends go to.
    func preamble(of head: Head) -> [LogRecord] {
        let provisional = state.withLock { state in
            if state.provisional != nil { state.owesPreamble = true }
            return state.provisional
        }
        return (provisional ?? head).preamble()
    }

    /// Whether some segment begins with records that do not say everything: before older ones are cut, a record behind
    /// them must.
    var owesPreamble: Bool { state.withLock { $0.owesPreamble } }

    /// It is written.
    func settlePreamble() { state.withLock { $0.owesPreamble = false } }
}
