import Disk
import Glibc
import Synchronization
import Telemetry
import TestSupport
import Testing
import Wire

@testable import Agent

/// An hour without a server: the spool fills, lines stay in their files, files are rotated and compressed; afterwards
/// everything is there once. The agent is killed in the middle as well. Time moves by hand.
@Suite struct OutageTests {
    private final class Said: Sendable {
        let texts = Mutex<[String]>([])
    }

    /// One agent's tail and spool over a log in a folder, and a model of the server's log store.
    private final class World {
        let scratch = ScratchFolder()
        let clock = ManualClock()
        private var storage = SimulatedStorage(seed: 9)
        private var tailer: LogTailer?
        private var stage: SpoolStage?
        private(set) var server = DeliveryModel()
        /// What the store has by origin and byte: a line whose bytes are there is dropped.
        private var bytes: Set<String> = []
        private(set) var stored: [String] = []
        private var written = 0
        /// What the agent said.
        let said = Said()
        private let registry = ContainerRegistry()

        var lines: [String] { (0..<written).map { Self.text($0) } }
        var isSpoolFull: Bool { stage.map { !$0.spool.isAcceptingLines } ?? false }

        /// A line that does not compress, so that the spool fills.
        private static func text(_ number: Int) -> String {
            var generator = SeededGenerator(seed: UInt64(number))
            return "line \(number) \(Hexadecimal.text(generator.bytes(1_000)))"
        }

        init() throws {
            scratch.makeFolder("logs")
            AtomicFilePositions.begin(scratch.path)
            try start()
        }

        func start() throws {
            var settings = LogSettings()
            (settings.podFolder, settings.mesosFolder, settings.podmanFolders) = ("", "", [])
            settings.journal = .off
            settings.files = [LogSettings.Files(pattern: "\(scratch.path)/logs/app.log")]
            storage = storage.survivors(of: .kill)
            var policy = SpoolPolicy(freeBytesMinimum: 0)
            policy.bytesMaximum = 6 << 20
            let stage = try SpoolStage(storage, clock, policy: policy)
            self.stage = stage
            tailer = LogTailer(
                LogTailer.Setting(
                    registry: registry, host: HostRoot(), node: "n", agent: "agent", sink: stage.spool,
                    storage: SystemStorage(), positionsPath: "\(scratch.path)/positions",
                    notices: Notices { [said] notice in said.texts.withLock { $0.append(notice.text) } },
                    settings: settings))
        }

        /// A minute of the application and of the agent.
        func minute(_ number: Int, isServerThere: Bool) throws {
            for _ in 0..<60 {
                scratch.append(Self.text(written) + "\n", to: "logs/app.log")
                written += 1
            }
            look()
            if number % 10 == 9 { rotate() }
            if isServerThere { try deliver() }
            tailer?.checkpoint()
            clock.advance(milliseconds: 60_000)
        }

        func look() {
            var hasMore = true
            while hasMore {
                clock.advance(milliseconds: 100)
                let now = clock.nowNanoseconds
                hasMore = tailer?.pass(atNanoseconds: now, wallNanoseconds: now, looksAtAll: true).hasMore ?? false
                stage?.worker.turn()
            }
        }

        func deliver() throws {
            guard let stage else { return }
            while let entry = stage.next(.lines) {
                for stream in try stage.lines(of: entry)?.streams ?? [] {
                    for index in 0..<stream.count {
                        let origin = "\(stream.origin?.source ?? "") \(stream.origin?.generation ?? 0)"
                        guard bytes.insert("\(origin) \(stream.offsetStarts[index])").inserted else { continue }
                        stored.append(String(decoding: stream.line(index), as: UTF8.self))
                    }
                }
                stage.spool.stored(entry, in: .lines, DeliveryMarks(synced: entry.sequence, archived: entry.sequence))
                if entry.ticket != 0 { tailer?.settled(entry.ticket) }
            }
            stage.worker.turn()
        }

        /// As logrotate does with `delaycompress`.
        private func rotate() {
            let folder = "\(scratch.path)/logs"
            for number in stride(from: 9, through: 2, by: -1) {
                rename("\(folder)/app.log.\(number).gz", "\(folder)/app.log.\(number + 1).gz")
            }
            if let bytes = HostRoot().bytes("\(folder)/app.log.1", limit: 64 << 20) {
                let small = Compression.gzip.compress(bytes)
                if let file = fopen("\(folder)/app.log.2.gz", "w") {
                    fwrite(small, 1, small.count, file)
                    fclose(file)
                }
                unlink("\(folder)/app.log.1")
            }
            rename("\(folder)/app.log", "\(folder)/app.log.1")
        }
    }

    @Test(arguments: [false, true])
    func anHourWithoutAServerLosesNothingAndDoublesNothing(isKilled: Bool) throws {
        let world = try World()
        for minute in 0..<3 { try world.minute(minute, isServerThere: true) }
        for minute in 3..<63 {
            try world.minute(minute, isServerThere: false)
            if isKilled, minute % 17 == 0 { try world.start() }
        }
        #expect(world.isSpoolFull)
        for minute in 63..<66 { try world.minute(minute, isServerThere: true) }
        for _ in 0..<40 {
            world.look()
            try world.deliver()
        }
        #expect(world.stored.count == world.lines.count)
        // Not compared in the expectation, which would print all of them.
        let isSame = Set(world.stored) == Set(world.lines)
        let missing = world.lines.enumerated().filter { !Set(world.stored).contains($0.element) }.map(\.offset)
        let said = world.said.texts.withLock { $0 }
        #expect(said.isEmpty, "\(said)")
        #expect(isSame, "missing \(missing.first ?? -1) to \(missing.last ?? -1), \(missing.count) in all")
    }
}
