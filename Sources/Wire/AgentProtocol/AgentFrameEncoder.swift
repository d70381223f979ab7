internal import Telemetry

/// The bytes of one batch: what has to be declared for it first, and its data. Both go into the spool as they are; a
/// body is a header, then such byte strings one behind the other (`AgentBatchEncoder`).
package struct AgentFrames: Sendable, Equatable {
    /// One declaration frame, or empty when everything was declared in this segment.
    package var declarations: [UInt8]
    /// One data frame.
    package var data: [UInt8]

    /// Frames of one batch.
    package init(declarations: [UInt8], data: [UInt8]) {
        self.declarations = declarations
        self.data = data
    }
}

/// Turns signals into frames and remembers which label sets were declared. Lives as long as the agent's epoch.
///
/// Ids rise from 1 and are never given twice within an epoch. What was declared is counted per spool segment, so that
/// every segment declares what it uses and can be replayed without those before it.
package struct AgentFrameEncoder: Sendable {
    private struct Entry {
        var id: UInt64
        /// The last segment that used it.
        var segment: UInt64
    }

    /// What a target said last: its series mostly come again, in the same order.
    private struct Prediction {
        var labels: [Labels] = []
        var ids: [UInt64] = []
    }

    private var entries: [Labels: Entry] = [:]
    private var predictions: [Labels: Prediction] = [:]
    private var nextID: UInt64 = 1
    private var segment: UInt64 = 1
    private var pending: [(id: UInt64, labels: Labels)] = []

    /// An encoder that has declared nothing. `firstID` is above every id used before within the same epoch, for an
    /// agent that goes on with the epoch of its spool.
    package init(firstID: UInt64 = 1) {
        nextID = max(firstID, 1)
    }

    /// The id that the next new label set will get; what `init(firstID:)` wants after a restart.
    package var followingID: UInt64 { nextID }

    /// The number of label sets known.
    package var labelSetCount: Int { entries.count }

    /// Says that what is encoded from now on goes into a new spool segment: everything is declared again where it is
    /// used, and label sets that the last segment did not use are forgotten.
    package mutating func beginSegment() {
        entries = entries.filter { $0.value.segment == segment }
        predictions = [:]
        segment += 1
    }

    /// Forgets everything, for a new epoch.
    package mutating func reset() { self = AgentFrameEncoder() }

    /// Encodes `signal`. The frames do not say who sends them: lane and sequence are decided when they are sent.
    package mutating func encode(_ signal: AgentBatch.Signal) -> AgentFrames {
        pending.removeAll(keepingCapacity: true)
        var payload = ByteWriter()
        let kind: AgentProtocol.FrameKind
        switch signal {
        case .samples(let batch, let isUrgent):
            kind = .samples
            let ids = batch.groups.map { (target: id(of: $0.target), series: seriesIDs(of: $0)) }
            SamplesPayload.write(batch, isUrgent: isUrgent, ids: ids, to: &payload)
        case .lines(let batch):
            kind = .lines
            LinesPayload.write(batch, to: &payload) { id(of: $0) }
        case .events(let events):
            kind = .events
            EventsPayload.write(events, to: &payload)
        }
        return AgentFrames(declarations: declarationFrame(), data: AgentFrameEncoder.frame(kind, payload.bytes))
    }

    /// The ids of a group's series. Comparing labels with those of the tick before costs a tenth of looking them up.
    private mutating func seriesIDs(of group: SampleGroup) -> [UInt64] {
        let prediction = predictions[group.target] ?? Prediction()
        var isSame = prediction.ids.count == group.series.count
        var ids: [UInt64] = []
        ids.reserveCapacity(group.series.count)
        for (index, series) in group.series.enumerated() {
            if index < prediction.ids.count, series.labels == prediction.labels[index] {
                ids.append(prediction.ids[index])
            } else {
                isSame = false
                ids.append(id(of: series.labels))
            }
        }
        if !isSame {
            predictions[group.target] = Prediction(labels: group.series.map(\.labels), ids: ids)
        }
        return ids
    }

    private mutating func id(of labels: Labels) -> UInt64 {
        if let entry = entries[labels], entry.segment == segment { return entry.id }
        let id: UInt64
        if let known = entries[labels] {
            id = known.id
        } else {
            id = nextID
            nextID += 1
        }
        entries[labels] = Entry(id: id, segment: segment)
        pending.append((id, labels))
        return id
    }

    private func declarationFrame() -> [UInt8] {
        guard !pending.isEmpty else { return [] }
        var payload = ByteWriter()
        payload.putVarint(UInt64(pending.count))
        var previous: UInt64 = 0
        for (id, labels) in pending {
            payload.putSigned(Int64(bitPattern: id &- previous))
            previous = id
            payload.putPrefixed(labels.encoded)
        }
        return AgentFrameEncoder.frame(.declarations, payload.bytes)
    }

    /// Shape: kind, varint length, LZ4 frame.
    private static func frame(_ kind: AgentProtocol.FrameKind, _ payload: [UInt8]) -> [UInt8] {
        let small = Compression.lz4Frame.compress(payload)
        var writer = ByteWriter(capacity: small.count + 6)
        writer.put(kind.rawValue)
        writer.putPrefixed(small)
        return writer.bytes
    }
}
