internal import Disk
internal import TestSupport

/// What a log may and must give back, kept in the plainest way: the oracle of the simulation.
struct LogModel {
    private struct Entry {
        var record: LogRecord
        var isPromised: Bool
    }

    /// What stands in front of the records of every segment.
    static let preamble = LogRecord(kind: 255, payload: Array("preamble".utf8))

    private var entries: [LogPosition: Entry] = [:]
    /// Records whose append failed in a way that leaves open whether they were written, and where they would stand.
    private var inFlight: (start: LogPosition, records: [LogRecord])?
    /// Behind the last frame.
    private(set) var end = LogPosition.first
    /// What lies before was given up by the owner.
    private(set) var cut = LogPosition.first
    /// Everything that was ever promised.
    private(set) var promised = 0

    /// Records were appended at `first`; if a segment began with them, its preamble lies in front.
    mutating func appended(_ records: [LogRecord], at first: LogPosition) throws {
        if first == end.advanced(by: 1) {
            entries[end] = Entry(record: Self.preamble, isPromised: false)
        } else if first != end {
            throw Broken("append answered \(first), \(end) comes next")
        }
        end = first
        for record in records {
            entries[end] = Entry(record: record, isPromised: false)
            end = end.advanced(by: 1)
        }
    }

    /// An append failed; the records may be there or not.
    mutating func leftOpen(_ records: [LogRecord]) {
        if inFlight == nil { inFlight = (end, records) }
    }

    /// Everything appended is acknowledged.
    mutating func acknowledgeAll() {
        for position in entries.keys where entries[position]?.isPromised == false {
            entries[position]?.isPromised = true
            promised += 1
        }
    }

    /// The owner gave up what lies before `position`.
    mutating func cut(before position: LogPosition) {
        cut = max(cut, position)
    }

    /// Compares with what a log gives back, then takes that as promised: opening has made it durable.
    mutating func verify(_ log: SegmentedLog, afterCrash: Bool) throws {
        var seen: [LogPosition: Entry] = [:]
        var previous = LogPosition(0)
        var open = 0
        let replay = try log.read(from: log.firstPosition) { frame in
            let record = LogRecord(kind: frame.kind, payload: Array(frame.payload))
            guard frame.position > previous else { throw Broken("\(frame.position) comes after \(previous)") }
            guard mayStand(record, at: frame.position, passing: &open) else {
                throw Broken("frame \(frame.position) was never written")
            }
            previous = frame.position
            seen[frame.position] = Entry(record: record, isPromised: true)
            return true
        }
        for (position, entry) in entries where entry.isPromised && position >= cut && seen[position] == nil {
            throw Broken("acknowledged frame \(position) is gone")
        }
        guard log.firstPosition <= max(cut, .first) else { throw Broken("more was cut than asked for") }
        let span = log.endPosition.ordinal - log.firstPosition.ordinal
        guard replay.framesLost == span - UInt64(seen.count) else {
            throw Broken("\(replay.framesLost) frames are said to be lost of \(span), \(seen.count) are there")
        }
        guard afterCrash else { return }
        // A crash alone loses nothing that was synced, and damages no header.
        guard log.recovery.framesLost == 0, log.recovery.quarantined.isEmpty else {
            throw Broken("a crash is reported as damage: \(log.recovery)")
        }
        guard log.poison == nil else { return }
        promised += seen.keys.count { entries[$0]?.isPromised != true }
        entries = seen
        inFlight = nil
        end = log.endPosition
    }

    /// Whether `record` may stand at `position`. Of records whose fate was left open any may be there, in their order.
    private func mayStand(_ record: LogRecord, at position: LogPosition, passing open: inout Int) -> Bool {
        if let entry = entries[position] { return entry.record == record }
        guard let (start, records) = inFlight, position >= start else { return false }
        if record == Self.preamble { return true }
        guard let index = records[open...].firstIndex(of: record) else { return false }
        open = index + 1
        return true
    }
}

/// A promise that was not kept.
struct Broken: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) {
        self.description = description
    }
}
