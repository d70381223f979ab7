internal import Telemetry

/// Where a line comes from: what its store knows of it.
struct LineOrigin {
    let stream: Labels
    let metadata: Labels
}

/// Takes the lines of a store through the stages that are left to be done.
struct LineProcessor: Sendable {
    private struct BaseKey: Hashable {
        let stream: Int32
        let metadata: Int32
    }

    private let stages: [any LineProcessing]
    private let detectsLevel: Bool
    private let nowMilliseconds: Int64
    private var bases: [BaseKey: LineLabels.Base] = [:]
    private var labels: LineLabels

    /// `neededLabels` are those that the query looks at, nil for all; `detectsLevel` gives every line a level.
    init(stages: [any LineProcessing], neededLabels: Set<String>?, detectsLevel: Bool, nowMilliseconds: Int64) {
        self.stages = stages
        self.detectsLevel = detectsLevel
        self.nowMilliseconds = nowMilliseconds
        labels = LineLabels(LineLabels.Base(stream: .empty, metadata: .empty), neededNames: neededLabels)
    }

    /// Calls `body` with each line of `buffer` that passes; false when `body` returned false. The buffers of one
    /// processor are those of one cursor.
    mutating func forEachLine(
        of buffer: LogLineBuffer, _ body: (inout PipelineLine, LineOrigin) throws -> Bool
    ) throws -> Bool {
        for index in 0..<buffer.count {
            let key = BaseKey(stream: buffer.streamIndexes[index], metadata: buffer.metadataIndexes[index])
            let origin = LineOrigin(
                stream: buffer.streams[Int(key.stream)],
                metadata: key.metadata < 0 ? .empty : buffer.metadata[Int(key.metadata)])
            let base: LineLabels.Base
            if let known = bases[key] {
                base = known
            } else {
                base = LineLabels.Base(stream: origin.stream, metadata: origin.metadata)
                bases[key] = base
            }
            labels.reset(base)
            var line = PipelineLine(
                nanoseconds: buffer.timesNanoseconds[index], text: buffer.line(index), labels: labels,
                nowMilliseconds: nowMilliseconds)
            if detectsLevel {
                LineLevel.add(
                    to: &line, origin, stored: buffer.severities.isEmpty ? nil : buffer.severities[index])
            }
            guard stages.allSatisfy({ $0.process(&line) }) else { continue }
            guard try body(&line, origin) else { return false }
        }
        return true
    }

    /// Begins anew: the next buffer is of another cursor.
    mutating func forgetOrigins() { bases.removeAll(keepingCapacity: true) }
}
