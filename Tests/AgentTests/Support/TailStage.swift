import Disk
import Glibc
import Synchronization
import Telemetry
import TestSupport

@testable import Agent

/// Takes lines and settles them when told.
final class TailSink: LineSink {
    struct State: Sendable {
        var batches: [(ticket: UInt64, batch: LogBatch)] = []
        var isAccepting = true
    }
    let state = Mutex(State())

    var isAcceptingLines: Bool { state.withLock { $0.isAccepting } }

    func submit(_ batch: LogBatch) -> UInt64 {
        state.withLock { state in
            let ticket = UInt64(state.batches.count + 1)
            state.batches.append((ticket, batch))
            return ticket
        }
    }

    var texts: [String] {
        state.withLock { $0.batches }.flatMap { $0.batch.streams }.flatMap { stream in
            (0..<stream.count).map { String(decoding: stream.line($0), as: UTF8.self) }
        }
    }

    var losses: [LogLoss] { state.withLock { $0.batches }.flatMap { $0.batch.losses } }
    var tickets: [UInt64] { state.withLock { $0.batches }.map(\.ticket) }
}

/// A container's log in a scratch folder and a tailer over it.
final class TailStage {
    let scratch = ScratchFolder()
    let sink = TailSink()
    let clock = ManualClock()
    let registry = ContainerRegistry()
    let id = String(repeating: "0a", count: 32)
    var tailer: LogTailer?
    /// Where nothing of the machine's own is read.
    var settings: LogSettings = {
        var settings = LogSettings()
        settings.podFolder = ""
        settings.podmanFolders = []
        settings.mesosFolder = ""
        settings.journal = .off
        return settings
    }()
    var keeper = DescriptorKeeper(socketPath: nil)
    private var count = 0

    var log: String { "\(id)-json.log" }

    /// Makes the container known and starts the tailer.
    func begin(knownBefore: Bool = true) {
        if knownBefore { AtomicFilePositions.begin(scratch.path) }
        addContainer()
        restart()
    }

    func addContainer() {
        var container = Container(id: id)
        container.isRunning = true
        container.logPath = "\(scratch.path)/\(log)"
        registry.setEngine([container], atNanoseconds: clock.nowNanoseconds)
    }

    func restart() {
        tailer = LogTailer(
            LogTailer.Setting(
                registry: registry, host: HostRoot(), node: "n", agent: "agent", sink: sink,
                storage: SystemStorage(), positionsPath: "\(scratch.path)/positions", notices: Fixture.quiet,
                settings: settings, keeper: keeper, firstStartBytes: 200))
    }

    static func record(_ text: String) -> String {
        #"{"log":"\#(text)\n","stream":"stdout","time":"2026-11-23T08:33:03.1Z"}"# + "\n"
    }

    func write(_ texts: String...) {
        for text in texts { scratch.append(Self.record(text), to: log) }
    }

    /// Reads, with the clock moved on.
    func pass(milliseconds: Int64 = 100) {
        clock.advance(milliseconds: milliseconds)
        tailer?.drainNotices()
        var hasMore = true
        while hasMore {
            let now = clock.nowNanoseconds
            hasMore = tailer?.pass(atNanoseconds: now, wallNanoseconds: now, looksAtAll: true).hasMore ?? false
        }
    }

    func settleAll() {
        for ticket in sink.tickets { tailer?.settled(ticket) }
        tailer?.checkpoint()
    }

    func rotate(_ number: Int, to other: Int) {
        let name = { (n: Int) in "\(self.scratch.path)/\(self.log)" + (n == 0 ? "" : ".\(n)") }
        rename(name(number), name(other))
    }
}

/// Makes a folder look as if an agent had run there before.
enum AtomicFilePositions {
    static func begin(_ folder: String) {
        try? AtomicFile.write(TailPositions.empty.encoded, to: "\(folder)/positions", in: SystemStorage())
    }
}
