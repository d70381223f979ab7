internal import Glibc
internal import Synchronization
internal import Telemetry

/// The thread that reads log files: woken by inotify, by the end of a container, by an acknowledgement, and by the
/// clock. It also reads the engine's files while the engine does not answer.
final class TailThread: Sendable {
    private struct Mail: Sendable {
        var settled: [UInt64] = []
        var ended: Set<String> = []
        var hurried: Set<String> = []
        var isStopped = false
        var isWaitingForRoom = false
        var statistics = TailStatistics()
    }

    private let mail = Mutex(Mail())
    let waker = Waker()

    /// Lines that come together are read together: a chatty container wakes the thread ten times a second, not at each
    /// line.
    private static let gatherMilliseconds: Int64 = 100
    private static let pollMilliseconds: Int64 = 250
    private static let lookAtAllNanoseconds: Int64 = 1_000_000_000
    private static let filesNanoseconds: Int64 = 5_000_000_000
    private static let firstFilesNanoseconds: Int64 = 2_000_000_000
    /// After a container's end the engine writes its last words within this time, as a rule.
    private static let lastWordsMilliseconds: [Int64] = [0, 20, 50, 100, 200, 350]

    /// A thread without its body; `run` is that.
    init() {}

    /// The batch of this ticket is stored.
    func settled(_ ticket: UInt64) {
        mail.withLock { $0.settled.append(ticket) }
        // Positions are written down once a second; no hurry.
    }

    /// A container ended or was killed: its last words are read at once.
    func containerEnded(_ id: String) {
        mail.withLock { _ = $0.ended.insert(id) }
        waker.wake()
    }

    /// Something happened to a container: its lines are read at once, because they may say why.
    func hurry(_ id: String) {
        mail.withLock { _ = $0.hurried.insert(id) }
        waker.wake()
    }

    /// Lines are taken again; matters only to a thread that waits for that.
    func roomCame() {
        let isWaiting = mail.withLock { mail in
            defer { mail.isWaitingForRoom = false }
            return mail.isWaitingForRoom
        }
        if isWaiting { waker.wake() }
    }

    /// Ends `run`.
    func stop() {
        mail.withLock { $0.isStopped = true }
        waker.wake()
    }

    /// What was read so far.
    var statistics: TailStatistics { mail.withLock { $0.statistics } }

    /// The thread's body. `everyFewSeconds` is called now and then, for other work on files.
    func run(
        _ setting: LogTailer.Setting, monotonicClock: any MonotonicClock, wallClock: any WallClock,
        everyFewSeconds: (Int64) -> Void
    ) {
        let tailer = LogTailer(setting)
        var urgent: [Int64] = []
        var lookAtAll: Int64 = 0
        // The engine is given a moment to answer before its files are read instead.
        var files = monotonicClock.nowNanoseconds - Self.filesNanoseconds + Self.firstFilesNanoseconds
        var checkpoint: Int64 = 0
        var pollSoon = true
        var next: Int64 = 0
        while true {
            wait(tailer, until: urgent.first ?? next, isGathering: next != 0, monotonicClock)
            let now = monotonicClock.nowNanoseconds
            let (settled, ended, hurried, isStopped) = take()
            for ticket in settled { tailer.settled(ticket) }
            for id in ended { tailer.containerEnded(id, atNanoseconds: now) }
            for id in hurried { tailer.hurry(id) }
            if !ended.isEmpty || !hurried.isEmpty { urgent += Self.lastWordsMilliseconds.map { now + $0 * 1_000_000 } }
            urgent = urgent.filter { $0 > now }.sorted()
            tailer.drainNotices()
            if now - files >= Self.filesNanoseconds {
                everyFewSeconds(now)
                files = now
            }
            let isDue = now - lookAtAll >= Self.lookAtAllNanoseconds || isStopped
            if isDue { lookAtAll = now }
            let outcome = tailer.pass(
                atNanoseconds: now, wallNanoseconds: wallClock.nowNanoseconds, looksAtAll: isDue)
            pollSoon = outcome.polls
            let isAccepting = setting.sink.isAcceptingLines
            mail.withLock { mail in
                mail.statistics = tailer.statistics
                mail.isWaitingForRoom = !isAccepting
            }
            if now - checkpoint >= 1_000_000_000 || isStopped {
                tailer.checkpoint()
                checkpoint = now
            }
            if isStopped { return }
            let pause = outcome.hasMore ? 0 : pollSoon ? Self.pollMilliseconds : 1_000
            next = now + pause * 1_000_000
        }
    }

    /// Waits for something to do; after a notice of inotify a little longer, so that more comes with it.
    private func wait(
        _ tailer: LogTailer, until deadline: Int64, isGathering: Bool, _ clock: any MonotonicClock
    ) {
        guard isGathering else { return }
        var rest = deadline - clock.nowNanoseconds
        guard rest > 0 else { return }
        var descriptors = ([waker.descriptor, tailer.descriptor] + tailer.sourceDescriptors).map {
            pollfd(fd: $0, events: Int16(POLLIN), revents: 0)
        }
        poll(&descriptors, nfds_t(descriptors.count), Int32(clamping: (rest + 999_999) / 1_000_000))
        if descriptors[0].revents == 0, descriptors.dropFirst().contains(where: { $0.revents != 0 }) {
            rest = min(deadline - clock.nowNanoseconds, Self.gatherMilliseconds * 1_000_000)
            if rest > 0 { poll(&descriptors, 1, Int32(clamping: (rest + 999_999) / 1_000_000)) }
        }
        waker.drain()
    }

    private func take() -> (settled: [UInt64], ended: Set<String>, hurried: Set<String>, isStopped: Bool) {
        mail.withLock { mail in
            defer {
                mail.settled = []
                mail.ended = []
                mail.hurried = []
            }
            return (mail.settled, mail.ended, mail.hurried, mail.isStopped)
        }
    }
}
