internal import Telemetry
internal import TestSupport
internal import Testing

@testable import Wire

/// docs/formats/agent-protocol.md shows what the code writes.
@Suite struct AgentProtocolPageTests {
    let page: GoldenPage

    init() throws {
        page = try GoldenPage("agent-protocol")
    }

    /// A frame without its compression, which another release of the library may do otherwise.
    func payload(_ frame: [UInt8]) throws -> [UInt8] {
        let small = try frame.withUnsafeBytes { raw in
            var reader = ByteReader(raw, at: 1)
            return Array(try reader.prefixed())
        }
        return try Compression.lz4Frame.decompress(small, bytesMaximum: 1 << 20)
    }

    @Test func header() throws {
        let header = AgentBatchEncoder.body(
            information: BatchExamples.information, delivery: BatchExamples.delivery(7), frames: [])
        #expect(header == (try page("header of batch 7 of the live lane in epoch 1")))
    }

    @Test func payloads() throws {
        var encoder = AgentFrameEncoder()
        let samples = encoder.encode(.samples(BatchExamples.tick, isUrgent: false))
        #expect(try payload(samples.declarations) == (try page("payload: declarations of label sets 1, 2 and 3")))
        #expect(try payload(samples.data) == (try page("payload: samples, one tick of one container")))
        let lines = encoder.encode(.lines(BatchExamples.lines))
        #expect(try payload(lines.data) == (try page("payload: lines, two of one file, and a loss")))
        let events = encoder.encode(.events([BatchExamples.event]))
        #expect(try payload(events.data) == (try page("payload: events, an OOM kill")))
    }

    @Test func aWholeBodyOfThePageIsRead() throws {
        let body = try page("body of that tick")
        let decoded = try body.withUnsafeBytes { try AgentBatchDecoder($0).batch(resolving: SeriesDictionary()) }
        #expect(decoded.batch.information == BatchExamples.information)
        #expect(decoded.batch.delivery == BatchExamples.delivery(7))
        let words = BatchExamples.words(.samples(BatchExamples.tick, isUrgent: false))
        #expect(BatchExamples.words(decoded.batch.signal) == words)
    }

    @Test func messages() throws {
        #expect(AgentReplyCodec.encode(AgentMessageTests.reply) == (try page("reply: later")))
        #expect(AgentCommandCodec.encode([AgentMessageTests.command]) == (try page("commands: one restart")))
        #expect(CommandReportCodec.encode([AgentMessageTests.report]) == (try page("reports: done")))
    }
}
