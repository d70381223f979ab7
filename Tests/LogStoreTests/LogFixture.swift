internal import Disk
internal import Telemetry
internal import TestSupport

@testable internal import LogStore

/// A log store on a real disk in a folder of its own, driven by the test alone.
struct LogFixture {
    let folder: TemporaryFolder
    let clock = ManualClock()
    var options = LogStoreOptions()

    init() throws {
        folder = try TemporaryFolder()
        options.maintenanceMilliseconds = nil
    }

    func open(transform: (any LineTransform)? = nil) throws -> LogDatabase {
        try LogDatabase.open(
            storage: SystemStorage(), folder: folder.path + "/logs", options: options, wallClock: clock,
            lineTransform: transform)
    }

    func context() -> QueryContext { QueryContext(clock: clock) }

    /// A time `milliseconds` behind the clock's start.
    func time(_ milliseconds: Int64) -> Int64 { clock.nowNanoseconds + milliseconds * 1_000_000 }
}

/// One line as an answer shows it.
struct AnsweredLine: Equatable, CustomStringConvertible {
    var labels: Labels
    var nanoseconds: Int64
    var line: [UInt8]
    var metadata: Labels = .empty

    var text: String { String(decoding: line, as: UTF8.self) }
    var description: String { "\(labels) \(nanoseconds) \(QuotedText.quoted(text)) \(metadata)" }
}

extension LogDatabase {
    /// All lines of a request.
    func lines(_ request: LogRequest, _ context: QueryContext) throws -> [AnsweredLine] {
        let cursor = try select(request, in: context).cursor
        var buffer = LogLineBuffer()
        var answer: [AnsweredLine] = []
        while try cursor.next(into: &buffer) {
            for index in 0..<buffer.count {
                let metadata = Int(buffer.metadataIndexes[index])
                answer.append(
                    AnsweredLine(
                        labels: buffer.streams[Int(buffer.streamIndexes[index])],
                        nanoseconds: buffer.timesNanoseconds[index], line: Array(buffer.line(index)),
                        metadata: metadata < 0 ? .empty : buffer.metadata[metadata]))
            }
        }
        return answer
    }
}

extension LogBatch {
    /// Lines of one stream without an origin.
    init(_ labels: Labels, _ lines: [(Int64, String)]) {
        var columns = LogLines(labels: labels)
        for (time, line) in lines { columns.append(nanoseconds: time, line: Array(line.utf8)) }
        self.init(streams: [columns])
    }

    /// Lines of one stream of a file, back to back from `offset`.
    init(
        _ labels: Labels, _ origin: LogOrigin, from offset: UInt64 = 0, _ lines: [(Int64, String)],
        delivery: DeliveryIdentity? = nil
    ) {
        var columns = LogLines(labels: labels, origin: origin)
        var start = offset
        for (time, line) in lines {
            let end = start + UInt64(line.utf8.count) + 1
            columns.append(nanoseconds: time, line: Array(line.utf8), offsets: start..<end)
            start = end
        }
        self.init(streams: [columns], delivery: delivery)
    }
}

extension DeliveryIdentity {
    /// Batch `sequence` of an agent's live lane.
    init(_ agent: String, _ sequence: UInt64, epoch: UInt64 = 1) {
        self.init(sender: Sender(agent: agent, epoch: epoch, lane: .live), sequence: sequence)
    }
}
