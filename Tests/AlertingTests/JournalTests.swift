import Disk
import Telemetry
import TestSupport
import Testing

@testable import Alerting

/// What alerting knows survives as bytes, and the bytes are those of docs/formats/alert-journal.md.
@Suite struct JournalTests {
    private static let lane = OutboxLane(groupKey: "{}:{alertname=\"A\"}", receiver: "chat", integration: "webhook[0]")

    private static let message = OutboxMessage(
        idempotencyKey: "00c0ffee00c0ffee-7", lane: lane, status: "firing", reason: "first_notification",
        createdAt: 1_700_000_000_000, deadline: 1_700_086_400_000,
        content: MessageContent(contentType: "application/json", body: Array("{}".utf8)),
        alerts: [Labels(["alertname": "A"])])

    private static let alert = AlertInstance(
        rule: "f.yml;g;A;0", labels: Labels(["alertname": "A", "name": "web"]), seriesLabels: Labels(["name": "web"]),
        annotations: ["summary": "web is down"], state: .firing, activeAt: 1_700_000_000_000,
        firedAt: 1_700_000_060_000, resolvedAt: nil, resolveReason: nil, keepFiringSince: nil,
        lastMatchAt: 1_700_000_061_000, value: 1.5, noDataSince: nil, isUrgent: true)

    /// One entry of every kind.
    static var entries: [(name: String, entry: JournalEntry)] {
        var control = RemedyControl(remedy: "restart")
        control.pausedBy = "li"
        control.suspensions = [RemedyControl.Suspension(target: "c0ffee", reason: "did not help", at: 1)]
        var counters = StateCounters()
        counters.identifier = 8
        counters.audit = 300
        counters.event = 2
        let silence = Silence(
            id: "00c0ffee00c0ffee-1", matchers: [.equal("name", "web")], startsAtMilliseconds: 1, endsAtMilliseconds: 2,
            createdBy: "li", comment: "move", updatedAtMilliseconds: 1)
        let event = HostEvent(
            .alert, nanoseconds: 1, source: "alerting", subject: Labels(["name": "web"]), text: "alert A fires")
        let audit = AuditEntry(kind: "alert.firing", nanoseconds: 1, fields: Labels(["alertname": "A"]))
        return [
            ("installation", .installation("00c0ffee00c0ffee")), ("alert", .alert(alert)),
            ("alert forgotten", .alertForgotten(alert.key)),
            (
                "group told",
                .groupTold(GroupMemory(key: lane, firing: [alert.fingerprint], resolved: [], toldAt: 1_700_000_000_000))
            ),
            ("group forgotten", .groupForgotten(lane)), ("intent", .intent(message)),
            (
                "attempt",
                .attempt(
                    OutboxAttempt(
                        idempotencyKey: message.idempotencyKey, at: 1_700_000_001_000, outcome: .retry,
                        detail: "status 429",
                        nextAt: 1_700_000_002_000))
            ),
            ("silence", .silence(silence)), ("silence forgotten", .silenceForgotten(silence.id)),
            ("action", .action(RemedySamples.record(.commanded))), ("action forgotten", .actionForgotten("inst-1")),
            ("remedy control", .remedyControl(control)),
            ("audit pending", .auditPending(PendingAudit(sequence: 300, entry: audit))),
            ("audit head", .auditHead(AuditHead(sequence: 299, hash: String(repeating: "ab", count: 32)))),
            ("event pending", .eventPending(PendingEvent(sequence: 2, event: event))),
            ("events stored", .eventsStored(through: 1)), ("mark", .mark(1_700_000_000_000)),
            ("counters", .counters(counters)),
            ("snapshot begin", .snapshotBegin), ("snapshot end", .snapshotEnd(3)),
        ]
    }

    @Test func everyEntryIsWhatThePageSays() throws {
        let page = try GoldenPage("alert-journal.md")
        for (name, entry) in JournalTests.entries {
            let bytes = JournalBatch.encode([entry])
            let golden = (try? page.bytes(of: name)) ?? []
            #expect(bytes == golden, "golden: \(name) -> \(Hexadecimal.text(bytes))")
            let decoded = try bytes.withUnsafeBytes { raw in try JournalBatch.decode(raw) }
            #expect(decoded == [entry], "\(name)")
        }
        #expect(page.names.count == JournalTests.entries.count)
    }

    @Test func damagedEntriesAreRefusedAndNeverCrash() throws {
        for (name, entry) in JournalTests.entries {
            let bytes = JournalBatch.encode([entry])
            for length in 0..<bytes.count {
                let cut = Array(bytes[..<length])
                #expect(throws: ByteError.self, "\(name) cut to \(length)") {
                    try cut.withUnsafeBytes { raw in try JournalBatch.decode(raw) }
                }
            }
            var random = SeededGenerator(seed: 7)
            for _ in 0..<200 {
                var changed = bytes
                changed[random.int(in: 0..<changed.count)] = UInt8(truncatingIfNeeded: random.next())
                _ = try? changed.withUnsafeBytes { raw in try JournalBatch.decode(raw) }
            }
        }
    }

    @Test func aNewerVersionIsRefusedByName() {
        var bytes = JournalBatch.encode([JournalEntry.snapshotBegin])
        bytes[0] = 2
        #expect(throws: ByteError(offset: 0, reason: "version 2 is not known, this program reads version 1")) {
            try bytes.withUnsafeBytes { raw in try JournalBatch.decode(raw) }
        }
    }

    /// A state with something of everything.
    private func richState() -> AlertingState {
        var state = AlertingState()
        for (_, entry) in JournalTests.entries {
            switch entry {
            case .alertForgotten, .groupForgotten, .silenceForgotten, .actionForgotten, .snapshotBegin, .snapshotEnd:
                break
            default: state.apply(entry)
            }
        }
        return state
    }

    @Test func aSnapshotRebuildsTheState() {
        let state = richState()
        var copy = AlertingState()
        for entry in state.snapshot { copy.apply(entry) }
        #expect(copy.snapshot == state.snapshot)
        #expect(copy.counters == state.counters)
        #expect(copy.deliveries.values == state.deliveries.values)
        // Twice is as good as once.
        for entry in state.snapshot { copy.apply(entry) }
        #expect(copy.snapshot == state.snapshot)
    }

    private func open(_ storage: any FileStorage) throws -> (AlertingJournal, AlertingState, [String]) {
        let (journal, state, faults) = try AlertingJournal.open(storage: storage, folder: "alerting", driving: .manual)
        return (journal, state, faults)
    }

    @Test func theJournalGivesBackWhatItTook() throws {
        let storage = SimulatedStorage(seed: 1)
        let (journal, empty, _) = try open(storage)
        #expect(empty.installation.isEmpty)
        journal.submit(JournalTests.entries.map(\.entry).filter { $0 != .snapshotBegin && $0 != .snapshotEnd(3) }) {
            error in
            #expect(error == nil)
        }
        journal.drive()
        let (_, state, faults) = try open(storage.survivors(of: .powerCut))
        #expect(faults.isEmpty)
        #expect(state.installation == "00c0ffee00c0ffee")
        #expect(state.deliveries[JournalTests.message.idempotencyKey] != nil)
    }

    @Test func aSnapshotWithoutItsEndIsNone() throws {
        let storage = SimulatedStorage(seed: 1)
        let (journal, _, _) = try open(storage)
        journal.submit([.installation("one"), .alert(JournalTests.alert)]) { _ in }
        journal.drive()
        // A snapshot whose end was torn off.
        var replay = JournalReplay()
        let begun = JournalBatch.encode([.snapshotBegin, .installation("two")])
        let before = JournalBatch.encode([.installation("one"), .alert(JournalTests.alert)])
        for (kind, payload) in [(JournalBatch.decisionKind, before), (JournalBatch.snapshotKind, begun)] {
            try payload.withUnsafeBytes { raw in try replay.add(kind: kind, raw) }
        }
        #expect(replay.state.installation == "one")
        #expect(replay.state.alerts.count == 1)
        // One whose pieces are not all there is none either.
        let ended = JournalBatch.encode([.snapshotEnd(5)])
        try ended.withUnsafeBytes { raw in try replay.add(kind: JournalBatch.snapshotKind, raw) }
        #expect(replay.state.installation == "one")
    }

    @Test func snapshotsBoundTheJournal() throws {
        let storage = SimulatedStorage(seed: 1)
        let (journal, _, _) = try open(storage)
        var state = AlertingState()
        var largest: UInt64 = 0
        for round in 0..<40 {
            for number in 0..<200 {
                var alert = JournalTests.alert
                alert.value = Double(round * 1000 + number)
                alert.annotations = ["text": String(repeating: "x", count: 1000)]
                state.apply(.alert(alert))
                journal.submit([.alert(alert)]) { error in #expect(error == nil) }
            }
            journal.drive()
            if journal.bytesSinceSnapshot > 500_000 {
                journal.compact(state.snapshot) { error in #expect(error == nil) }
                journal.drive()
                journal.cutBlocking()
            }
            let size = try storage.list("alerting/journal").reduce(0) { $0 + $1.bytes }
            largest = max(largest, size)
        }
        #expect(largest < 5 << 20)
        let (_, after, _) = try open(storage.survivors(of: .kill))
        #expect(after.alerts[JournalTests.alert.key]?.value == 39_199)
    }

    @Test func damageIsToldAndTheRestIsKept() throws {
        let storage = SimulatedStorage(seed: 1)
        let (journal, _, _) = try open(storage)
        for index in 0..<20 {
            journal.submit([.silence(silence(index))]) { _ in }
            journal.drive()
        }
        let name = try #require(try storage.list("alerting/journal").first?.name)
        let path = "alerting/journal/\(name)"
        storage.flipBit(3, ofByte: 700, in: path)
        let (_, state, faults) = try open(storage.survivors(of: .kill))
        #expect(state.silences.count == 19)
        #expect(!faults.isEmpty)
    }

    private func silence(_ index: Int) -> Silence {
        Silence(
            id: "inst-\(index)", matchers: [.equal("name", "web")], startsAtMilliseconds: 1, endsAtMilliseconds: 2,
            createdBy: "li", comment: String(repeating: "c", count: 50), updatedAtMilliseconds: 1)
    }

    @Test func theHistoryIsBoundedAndOpenMessagesStay() {
        var state = AlertingState()
        for number in 0..<1500 {
            var message = JournalTests.message
            message.idempotencyKey = "inst-\(number)"
            state.apply(.intent(message))
            if number != 3 {
                state.apply(
                    .attempt(
                        OutboxAttempt(idempotencyKey: message.idempotencyKey, at: 1, outcome: .accepted, detail: "")))
            }
        }
        #expect(state.deliveries.values.count <= AlertingState.historyMaximum + 1)
        #expect(state.deliveries["inst-3"]?.isOpen == true)
        #expect(state.deliveries["inst-1499"]?.message.body.isEmpty == true)
        #expect(state.counters.identifier == 1500)
    }

    @Test func lookingAtAJournalChangesNothing() throws {
        let storage = SimulatedStorage(seed: 1)
        let (journal, _, _) = try open(storage)
        journal.submit([.auditHead(AuditHead(sequence: 5, hash: "ab"))]) { _ in }
        journal.drive()
        let operations = storage.operations
        #expect(try AlertingJournal.peek(storage: storage, folder: "alerting").auditHead.sequence == 5)
        #expect(storage.operations == operations)
    }
}
