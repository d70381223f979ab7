internal import Disk
internal import Telemetry
internal import Wire

/// Which commands were begun here and what became of them, so that none is done twice and limits hold over restarts.
/// Pure; the layout of its file is in docs/formats/agent-state.md.
struct CommandLedger: Equatable {
    /// One command that was begun or refused.
    struct Entry: Equatable {
        var id: String
        var action: String
        var target: String
        /// When it was begun, wall clock.
        var nanoseconds: Int64
        var expiresNanoseconds: Int64
        /// Nil while it is being done.
        var report: CommandReport?
        /// Whether the server has the report.
        var isReported: Bool
        /// Refused commands do not count against limits.
        var counts: Bool
    }

    private(set) var entries: [Entry] = []

    private static let magic: [UInt8] = Array("vdtc".utf8)
    private static let version: UInt8 = 1
    /// More than any agent is given in the longest span of a limit.
    static let entriesMaximum = 20_000

    /// No command yet.
    init() {}

    /// The entry of a command; nil when it is new.
    func entry(_ id: String) -> Entry? { entries.last { $0.id == id } }

    /// A command is about to be done (or was refused, with its report).
    mutating func begin(_ command: AgentCommand, target: String, atNanoseconds now: Int64, refusal: CommandReport?) {
        prune(now)
        entries.append(
            Entry(
                id: command.id, action: command.action, target: target, nanoseconds: now,
                expiresNanoseconds: command.expiresNanoseconds, report: refusal, isReported: false,
                counts: refusal == nil))
    }

    /// A command was done, or failed.
    mutating func finish(_ report: CommandReport) {
        guard let index = entries.lastIndex(where: { $0.id == report.id }) else { return }
        entries[index].report = report
        entries[index].isReported = false
    }

    /// The server has the reports of these commands.
    mutating func reported(_ ids: Set<String>) {
        for index in entries.indices where ids.contains(entries[index].id) { entries[index].isReported = true }
    }

    /// What the server does not have yet.
    var unreported: [CommandReport] { entries.filter { !$0.isReported }.compactMap(\.report) }

    /// Commands that were under way when the agent ended: what became of them has to be found out. They are never done
    /// again.
    var interrupted: [Entry] { entries.filter { $0.report == nil } }

    /// When the limits allow `action` once more; nil for now. A clock that jumped back makes them stricter.
    func refusal(
        of action: String, on target: String, under permission: ActionPolicy.Permission, atNanoseconds now: Int64
    ) -> String? {
        let done = entries.filter { $0.counts && $0.action == action }
        if isReached(permission.limit, done.filter { $0.target == target }, now) {
            return "the local limit of \(permission.limit.words) for one target is reached"
        }
        if let total = permission.totalLimit, isReached(total, done, now) {
            return "the local limit of \(total.words) for this host is reached"
        }
        return nil
    }

    private func isReached(_ limit: ActionPolicy.RateLimit, _ done: [Entry], _ now: Int64) -> Bool {
        done.count { now - $0.nanoseconds < limit.milliseconds * 1_000_000 } >= limit.count
    }

    /// Forgets commands that can neither come again nor count.
    private mutating func prune(_ now: Int64) {
        let span = ActionPolicy.RateLimit.spanMilliseconds * 1_000_000
        entries.removeAll {
            $0.isReported && now > $0.expiresNanoseconds && now - $0.nanoseconds > span
        }
        guard entries.count >= Self.entriesMaximum else { return }
        entries.removeFirst(entries.count - Self.entriesMaximum + 1)
    }
}

extension CommandLedger {
    /// The ledger as bytes.
    var encoded: [UInt8] {
        var writer = ByteWriter()
        writer.put(Self.magic)
        writer.put(Self.version)
        writer.putVarint(UInt64(entries.count))
        for entry in entries {
            writer.putString(entry.id)
            writer.putString(entry.action)
            writer.putString(entry.target)
            writer.putSigned(entry.nanoseconds)
            writer.putSigned(entry.expiresNanoseconds)
            writer.put((entry.isReported ? 1 : 0) | (entry.counts ? 2 : 0))
            writer.putPrefixed(entry.report.map { CommandReportCodec.encode([$0]) } ?? [])
        }
        writer.putFixed(writer.bytes.withUnsafeBytes { crc32c($0) })
        return writer.bytes
    }

    /// Reads a ledger.
    init(decoding bytes: [UInt8]) throws(ByteError) {
        let result = bytes.withUnsafeBytes { raw in
            Result { () throws(ByteError) in try Self.read(raw) }
        }
        entries = try result.get()
    }

    private static func read(_ raw: UnsafeRawBufferPointer) throws(ByteError) -> [Entry] {
        guard raw.count > 9, raw.starts(with: magic), raw[4] == version else {
            throw ByteError(offset: 0, reason: "not a command ledger of version \(version)")
        }
        let body = UnsafeRawBufferPointer(rebasing: raw[..<(raw.count - 4)])
        guard raw.loadUnaligned(fromByteOffset: body.count, as: UInt32.self).littleEndian == crc32c(body) else {
            throw ByteError(offset: body.count, reason: "checksum does not hold")
        }
        var reader = ByteReader(body, at: 5)
        var entries: [Entry] = []
        for _ in 0..<(try reader.count(upTo: entriesMaximum, "commands")) {
            let id = try reader.string()
            let action = try reader.string()
            let target = try reader.string()
            let nanoseconds = try reader.signed()
            let expires = try reader.signed()
            let flags = try reader.byte()
            let report = Array(try reader.prefixed())
            entries.append(
                Entry(
                    id: id, action: action, target: target, nanoseconds: nanoseconds, expiresNanoseconds: expires,
                    report: try Self.report(report, at: reader.offset), isReported: flags & 1 != 0,
                    counts: flags & 2 != 0))
        }
        return entries
    }

    private static func report(_ bytes: [UInt8], at offset: Int) throws(ByteError) -> CommandReport? {
        guard !bytes.isEmpty else { return nil }
        do {
            return try CommandReportCodec.decode(bytes).first
        } catch {
            throw ByteError(offset: offset, reason: "report: \(error)")
        }
    }
}

extension ActionPolicy.RateLimit {
    /// "3 in 1h".
    var words: String { "\(count) in \(Durations.prometheus(milliseconds: milliseconds))" }
}
