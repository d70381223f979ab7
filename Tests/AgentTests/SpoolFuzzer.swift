import Disk
import Synchronization
import Telemetry
import TestSupport

@testable import Agent

/// Lives and deaths of a spool: random batches, answers that get lost, crashes at random operations of the disk. What
/// was offered for sending must reach the server once, and no sequence may be given to two batches.
struct SpoolFuzzer: Fuzzer {
    static let name = "agent-spool"

    static func run(seed: UInt64, events: Int) throws {
        var run = Run(seed: seed)
        for event in 0..<events { try run.step(event) }
        try run.end(events)
    }

    private struct Run {
        let seed: UInt64
        let clock = ManualClock()
        var generator: SeededGenerator
        var storage: SimulatedStorage
        var stage: SpoolStage?
        var model = DeliveryModel()
        var offered: Set<String> = []
        var submitted = 0

        init(seed: UInt64) {
            self.seed = seed
            generator = SeededGenerator(seed: seed)
            storage = SimulatedStorage(seed: seed)
        }

        mutating func step(_ event: Int) throws {
            if storage.crash != nil { rise() }
            if stage == nil {
                stage = try? SpoolStage(storage, clock)
                guard stage != nil else { return rise() }
            }
            switch generator.int(in: 0..<10) {
            case 0..<5: submit()
            case 5..<9: try send(event)
            default: storage = fallen()
            }
        }

        /// Another life on the same disk, with another crash to come.
        private mutating func rise() {
            storage = fallen()
        }

        private mutating func fallen() -> SimulatedStorage {
            stage = nil
            var plan = SimulatedStorage.Plan()
            plan.crashAtOperation = generator.int(in: 1..<150)
            plan.crashMoment = generator.pick(SimulatedStorage.Moment.allCases)
            clock.advance(milliseconds: 2_000)
            return storage.survivors(of: generator.pick(SimulatedStorage.Ending.allCases), plan: plan)
        }

        private mutating func submit() {
            guard let stage else { return }
            let before = stage.waiting(.lines)
            let texts = (0..<generator.int(in: 1..<4)).map { _ in
                submitted += 1
                return "line \(submitted)"
            }
            for text in texts {
                _ = stage.spool.submit(SpoolStage.batch(text, container: generator.pick(["a", "b", "c"])))
            }
            stage.worker.turn()
            // Offered means that its sync returned.
            if stage.waiting(.lines) == before + texts.count { offered.formUnion(texts) }
        }

        private mutating func send(_ event: Int) throws {
            guard let stage, let entry = stage.next(.lines) else { return }
            guard let text = try? stage.text(of: entry) else {
                if storage.crash == nil { throw FuzzFinding(seed: seed, event: event, "a batch cannot be read back") }
                return
            }
            let marks = model.take(entry, text)
            if generator.oneIn(4) {
                stage.spool.failed(.lines)
            } else {
                stage.spool.stored(entry, in: .lines, marks)
                stage.worker.turn()
            }
            if let conflict = model.conflicts.first { throw FuzzFinding(seed: seed, event: event, conflict) }
        }

        mutating func end(_ events: Int) throws {
            stage = nil
            storage = storage.survivors(of: .powerCut)
            let stage = try SpoolStage(storage, clock)
            while let entry = stage.next(.lines) {
                guard let text = try stage.text(of: entry) else {
                    throw FuzzFinding(seed: seed, event: events, "a batch cannot be read back at the end")
                }
                stage.spool.stored(entry, in: .lines, model.take(entry, text))
                stage.worker.turn()
            }
            if let conflict = model.conflicts.first { throw FuzzFinding(seed: seed, event: events, conflict) }
            let texts = model.texts
            if texts.count != Set(texts).count {
                throw FuzzFinding(seed: seed, event: events, "a batch was stored twice")
            }
            let missing = offered.subtracting(texts)
            if !missing.isEmpty { throw FuzzFinding(seed: seed, event: events, "lost: \(missing.sorted())") }
        }
    }
}
