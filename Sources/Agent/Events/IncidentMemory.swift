internal import Disk
internal import Telemetry
internal import Wire

/// What the agent has counted and told, kept over its own death: with it the next start finds what happened while no
/// agent ran, and tells it once. Pure; the layout of its file is in docs/formats/agent-state.md.
struct IncidentMemory: Equatable, Sendable {
    /// What is known of one container.
    struct Entry: Equatable, Sendable {
        /// The life that the rest is about.
        var startedNanoseconds: Int64
        /// Kills that its cgroup counted in this life and that were told (or were there before any agent).
        var killsTold: UInt64 = 0
        /// The start of the last life whose end was told, or a moment behind it.
        var endToldNanoseconds: Int64 = 0
        /// The number of the kernel's last record about it that was told.
        var kernelSequence: UInt64 = 0
        var restartCount: UInt64 = 0
        /// The event counters, by kind.
        var counts: [UInt64] = []
    }

    /// Which boot of the machine the kernel's numbers are of.
    var bootID = ""
    /// Everything the kernel wrote up to this record was told.
    var kernelSequence: UInt64 = 0
    /// When it was written last, wall clock; 0 for never.
    var writtenNanoseconds: Int64 = 0
    var containers: [String: Entry] = [:]
    var services: [String: [UInt64]] = [:]
    /// Events that may not have reached the spool. Told again byte for byte, which the log store drops when it has
    /// them.
    var recent: [HostEvent] = []

    private static let magic: [UInt8] = Array("vdti".utf8)
    private static let version: UInt8 = 1
    private static let containersMaximum = 16_384
    private static let eventsMaximum = 4_096
    /// So long an event is told again; the log store knows its lines for five minutes.
    static let recentNanoseconds: Int64 = 240_000_000_000

    /// Nothing was ever told.
    init() {}

    /// Remembers a container that runs or ran; a new life begins with no kills.
    mutating func note(_ container: Container, killsBefore: UInt64) {
        guard container.startedNanoseconds > 0, containers.count < Self.containersMaximum else { return }
        var entry = containers[container.id] ?? Entry(startedNanoseconds: 0)
        if entry.startedNanoseconds != container.startedNanoseconds {
            entry.startedNanoseconds = container.startedNanoseconds
            entry.killsTold = killsBefore
        }
        entry.restartCount = UInt64(max(0, container.restartCount))
        containers[container.id] = entry
    }

    /// An incident is being told.
    mutating func told(_ incident: IncidentCorrelator.Incident, of container: Container, kernelSequence: UInt64) {
        var entry = containers[container.id] ?? Entry(startedNanoseconds: container.startedNanoseconds)
        entry.kernelSequence = max(entry.kernelSequence, kernelSequence)
        if incident.kind == .oomKill {
            entry.killsTold += incident.count
        } else {
            // Where it runs again already, the end was that of the life before.
            let isAnew = container.isRunning && container.startedNanoseconds > incident.nanoseconds
            entry.endToldNanoseconds = isAnew ? container.startedNanoseconds - 1 : container.startedNanoseconds
        }
        guard containers.count < Self.containersMaximum || containers[container.id] != nil else { return }
        containers[container.id] = entry
    }

    /// Keeps events until they are surely told.
    mutating func keep(_ events: [HostEvent], atNanoseconds now: Int64) {
        recent.removeAll { now - $0.nanoseconds > Self.recentNanoseconds }
        recent = (recent + events).suffix(Self.eventsMaximum)
    }

    /// What happened to a container while no agent ran, as far as its own state tells; `records` are the kernel's.
    /// The rise of the cgroup's own counter is seen by the watch, which begins at `killsTold`.
    func missed(
        _ container: Container, records: [(sequence: UInt64, kill: KernelRecord.OOMKill)], agentStart: Int64
    ) -> [(sighting: IncidentCorrelator.Sighting, source: IncidentCorrelator.Source)] {
        let entry = containers[container.id]
        // One that is not remembered and is older than the memory was there before any agent.
        let isNew = container.startedNanoseconds > writtenNanoseconds && container.startedNanoseconds < agentStart
        guard writtenNanoseconds > 0, entry != nil || isNew else { return [] }
        var missed: [(sighting: IncidentCorrelator.Sighting, source: IncidentCorrelator.Source)] = []
        let floor = max(kernelSequence, entry?.kernelSequence ?? 0)
        let fresh = records.filter { $0.sequence > floor }
        // A kill may have been told by its cgroup's counter before its record was read: never more than were counted.
        let told = Int(clamping: entry?.counts.first ?? 0)
        let untold = records.count >= told ? records.count - told : fresh.count
        for record in fresh.suffix(untold) { missed.append((.killRecord(record.kill), .kernelLog)) }
        let endTold = entry?.endToldNanoseconds ?? 0
        if !container.isRunning, container.finishedNanoseconds > 0, container.startedNanoseconds > endTold {
            // Between a kill and the end it causes lies a moment in which the agent may have died.
            let isKillTold = entry?.startedNanoseconds == container.startedNanoseconds && entry?.killsTold ?? 0 > 0
            if container.isOutOfMemory, !isKillTold { missed.append((.killClaim, .state)) }
            missed.append((.exit(code: container.exitCode), .state))
        } else if let entry, entry.startedNanoseconds > endTold,
            container.startedNanoseconds > entry.startedNanoseconds
        {
            missed.append((.exit(code: nil), .state))
        }
        return missed
    }

    /// How often a container was started since it was remembered; 0 when it lives the same life.
    func startsMissed(_ container: Container) -> UInt64 {
        guard let entry = containers[container.id], entry.startedNanoseconds > 0,
            container.startedNanoseconds > entry.startedNanoseconds
        else { return 0 }
        let restarts = UInt64(max(0, container.restartCount))
        return max(1, restarts > entry.restartCount ? restarts - entry.restartCount : 0)
    }
}

extension IncidentMemory {
    /// The memory as bytes.
    var encoded: [UInt8] {
        var writer = ByteWriter()
        writer.put(Self.magic)
        writer.put(Self.version)
        writer.putString(bootID)
        writer.putVarint(kernelSequence)
        writer.putSigned(writtenNanoseconds)
        writer.putVarint(UInt64(containers.count))
        for (id, entry) in containers.sorted(by: { $0.key < $1.key }) {
            writer.putString(id)
            writer.putSigned(entry.startedNanoseconds)
            writer.putVarint(entry.killsTold)
            writer.putSigned(entry.endToldNanoseconds)
            writer.putVarint(entry.kernelSequence)
            writer.putVarint(entry.restartCount)
            Self.put(entry.counts, &writer)
        }
        writer.putVarint(UInt64(services.count))
        for (service, counts) in services.sorted(by: { $0.key < $1.key }) {
            writer.putString(service)
            Self.put(counts, &writer)
        }
        writer.putVarint(UInt64(recent.count))
        for event in recent { writer.putPrefixed(EventRecord.line(event)) }
        writer.putFixed(writer.bytes.withUnsafeBytes { crc32c($0) })
        return writer.bytes
    }

    /// Reads a memory.
    init(decoding bytes: [UInt8]) throws(ByteError) {
        let result = bytes.withUnsafeBytes { raw in
            Result { () throws(ByteError) in try Self.read(raw) }
        }
        self = try result.get()
    }

    private static func put(_ counts: [UInt64], _ writer: inout ByteWriter) {
        writer.putVarint(UInt64(counts.count))
        for count in counts { writer.putVarint(count) }
    }

    private static func counts(_ reader: inout ByteReader) throws(ByteError) -> [UInt64] {
        var counts: [UInt64] = []
        for _ in 0..<(try reader.count(upTo: 64, "counters")) { counts.append(try reader.varint()) }
        return counts
    }

    private static func read(_ raw: UnsafeRawBufferPointer) throws(ByteError) -> IncidentMemory {
        guard raw.count > 9, raw.starts(with: magic), raw[4] == version else {
            throw ByteError(offset: 0, reason: "not a memory of incidents of version \(version)")
        }
        let body = UnsafeRawBufferPointer(rebasing: raw[..<(raw.count - 4)])
        guard raw.loadUnaligned(fromByteOffset: body.count, as: UInt32.self).littleEndian == crc32c(body) else {
            throw ByteError(offset: body.count, reason: "checksum does not hold")
        }
        var memory = IncidentMemory()
        var reader = ByteReader(body, at: 5)
        memory.bootID = try reader.string()
        memory.kernelSequence = try reader.varint()
        memory.writtenNanoseconds = try reader.signed()
        for _ in 0..<(try reader.count(upTo: reader.remaining, "containers")) {
            let id = try reader.string()
            var entry = Entry(startedNanoseconds: try reader.signed())
            entry.killsTold = try reader.varint()
            entry.endToldNanoseconds = try reader.signed()
            entry.kernelSequence = try reader.varint()
            entry.restartCount = try reader.varint()
            entry.counts = try counts(&reader)
            memory.containers[id] = entry
        }
        for _ in 0..<(try reader.count(upTo: reader.remaining, "services")) {
            let service = try reader.string()
            memory.services[service] = try counts(&reader)
        }
        for _ in 0..<(try reader.count(upTo: reader.remaining, "events")) {
            memory.recent.append(try EventRecord.event(parsing: try reader.prefixed()))
        }
        return memory
    }
}
