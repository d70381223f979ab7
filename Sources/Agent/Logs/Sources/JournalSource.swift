internal import Telemetry

/// Lines of the system's journal, also those of containers that log there. The place is kept as journald's cursor once
/// the server has what is in front of it; where the cursor's entry was vacuumed meanwhile, that is told as a loss.
final class JournalSource: LineSource {
    private let context: LineSourceContext
    private let place = TailPositions.Place(source: "journal")
    private var journal: Journal?
    private var lines = JournalLines()
    private var generation: UInt64 = 0
    /// The number of the last entry that was read.
    private var number: UInt64 = 0
    private var isRefused = false

    /// At the first start so many entries of the past are read.
    private static let firstEntries: UInt64 = 1_000
    private static let entriesMaximum = 4_000

    init?(_ context: LineSourceContext) {
        guard context.settings.journal != .off else { return nil }
        self.context = context
        let reach = context.reach(place)
        generation = reach?.generation ?? 0
        number = reach?.offset ?? 0
    }

    var descriptors: [Int32] { journal.map { $0.descriptor >= 0 ? [$0.descriptor] : [] } ?? [] }

    func harvest(_ look: LineSourceLook) -> LineHarvest {
        var harvest = LineHarvest()
        guard let journal = journal ?? open(look, &harvest), look.isAccepting else { return harvest }
        journal.process()
        let origin = LogOrigin(source: "\(context.agent)/journal", generation: generation)
        var counted = CountedLines(origin: origin)
        var entries = 0
        while counted.bytes < look.budget, entries < Self.entriesMaximum {
            guard journal.next() else { break }
            entries += 1
            number += 1
            read(JournalEntry(journal), look, &counted, &harvest)
        }
        lines.flush(atNanoseconds: look.now) { add($0, look.snapshot, number, &counted) }
        harvest.hasMore = counted.bytes >= look.budget || entries == Self.entriesMaximum
        harvest.streams = counted.streams
        harvest.bytes = counted.bytes
        if entries > 0, !lines.isWaiting, let cursor = journal.cursor {
            harvest.reaches = [(place, TailPositions.Reach(generation: generation, offset: number, cursor: cursor))]
        }
        return harvest
    }

    /// Opens the journal as soon as it is wanted.
    private func open(_ look: LineSourceLook, _ harvest: inout LineHarvest) -> Journal? {
        guard !isRefused else { return nil }
        if context.settings.journal == .containers {
            let isWanted = look.snapshot.containers.values.contains { $0.logDriver == "journald" }
            guard isWanted || context.reach(place) != nil else { return nil }
        }
        do {
            let opened = try Journal(folder: context.settings.journalFolder)
            begin(opened, look, &harvest)
            journal = opened
            return opened
        } catch {
            isRefused = true
            context.notices.say(
                .warning, about: "journal",
                """
                the system's journal cannot be read (\(error)): its lines, and those of containers that log there, are \
                missing; install libsystemd0, run the agent as root or in the group systemd-journal, and start it again
                """)
            return nil
        }
    }

    private func begin(_ journal: Journal, _ look: LineSourceLook, _ harvest: inout LineHarvest) {
        guard let reach = context.reach(place), !reach.cursor.isEmpty else {
            return journal.seekLast(Self.firstEntries)
        }
        guard !journal.seek(reach.cursor) else { return }
        // What follows is counted anew, because nobody knows how many entries are gone.
        generation += 1
        number = 0
        harvest.losses.append(
            LogLoss(
                labels: Labels(["source": "journal", "node": context.node]), origin: nil,
                range: LogTimeRange(startNanoseconds: 0, endNanoseconds: 0), lines: 0, bytes: 0,
                reason: "journal was vacuumed or replaced before it was read"))
    }

    private func read(
        _ entry: JournalEntry, _ look: LineSourceLook, _ counted: inout CountedLines, _ harvest: inout LineHarvest
    ) {
        if context.settings.journal == .containers, entry.container == nil, entry.dropped == nil { return }
        if let dropped = entry.dropped {
            harvest.losses.append(
                loss(entry, look.snapshot, dropped, "journald suppressed messages of a unit that wrote too many"))
        }
        // What the agent says about lines must not become lines about which it says something.
        guard entry["_PID"] != String(AgentLimits.processIdentifier) else { return }
        var gaps: [JournalLines.Gap] = []
        lines.take(entry, atNanoseconds: look.now) {
            add($0, look.snapshot, number, &counted)
        } gap: {
            gaps.append($0)
        }
        harvest.losses += gaps.map {
            loss($0.entry, look.snapshot, $0.lines, "journal lacks lines that the container's engine counted")
        }
    }

    private func loss(
        _ entry: JournalEntry, _ snapshot: ContainerRegistry.Snapshot, _ lines: UInt64, _ reason: String
    ) -> LogLoss {
        LogLoss(
            labels: labels(entry, snapshot), origin: nil,
            range: LogTimeRange(startNanoseconds: entry.nanoseconds, endNanoseconds: entry.nanoseconds),
            lines: Int(clamping: lines), bytes: 0, reason: reason)
    }

    private func add(
        _ line: JournalLines.Line, _ snapshot: ContainerRegistry.Snapshot, _ number: UInt64,
        _ counted: inout CountedLines
    ) {
        var metadata: [String: String] = [:]
        if !line.isWhole { metadata["unterminated"] = "true" }
        if line.entry["_LINE_BREAK"] == "line-max" { metadata["split"] = "true" }
        if line.entry.container == nil, let priority = line.entry.priority {
            metadata["level"] = SyslogMessage.levels[min(max(priority, 0), 7)]
        }
        counted.add(
            labels(line.entry, snapshot), nanoseconds: line.entry.nanoseconds, line.text, number: number,
            metadata: Labels(metadata))
    }

    private func labels(_ entry: JournalEntry, _ snapshot: ContainerRegistry.Snapshot) -> Labels {
        if let id = entry.container {
            var container = snapshot.containers[id] ?? Container(id: id)
            if container.image.isEmpty {
                container.name = entry["CONTAINER_NAME"] ?? container.name
                container.image = entry["IMAGE_NAME"] ?? ""
            }
            let stream: LogStream = entry.priority == 3 ? .standardError : .standardOutput
            return container.streamLabels(node: context.node, stream: stream.label, source: "journal")
        }
        let unit = entry.unit ?? entry["UNIT"]
        let name = unit ?? entry["SYSLOG_IDENTIFIER"] ?? entry["_TRANSPORT"] ?? "unknown"
        return Labels([
            "source": "journal", "node": context.node, "unit": unit ?? "",
            "service": name.hasSuffix(".service") ? String(name.dropLast(8)) : name,
        ])
    }
}
