internal import Telemetry
internal import TestSupport
internal import Testing

@testable import Wire

@Suite struct EventRecordTests {
    @Test func everyEventComesBack() throws {
        var random = SeededGenerator(seed: 6)
        for _ in 0..<500 {
            let event = HostEvent(
                random.pick(HostEvent.Kind.allCases), nanoseconds: Int64(bitPattern: random.next()) >> 1,
                source: "kmsg", subject: BatchExamples.randomLabels(&random),
                details: BatchExamples.randomLabels(&random), text: random.pick(["", "a \"quoted\" wörd", "\n\u{0}"]))
            #expect(try EventRecord.event(parsing: EventRecord.line(event)) == event)
        }
    }

    @Test func theLineIsPartOfTheOneStream() throws {
        let batch = EventRecord.batch([BatchExamples.event])
        #expect(batch.streams.map(\.labels) == [Labels(["source": "vedette"])])
        let stream = try #require(batch.streams.first)
        #expect(stream.timesNanoseconds == [BatchExamples.event.nanoseconds])
        #expect(stream.metadata.map(\.labels) == [Labels(["container": "web", "event": "oom_kill"])])
        #expect(EventRecord.batch([]).streams.isEmpty)
    }

    @Test func readsWhatALaterVersionWrites() throws {
        let line = #"{"version":2,"event":"start","time":"2023-11-14T22:13:20Z","more":{"a":[1]},"text":"x"}"#
        let event = try EventRecord.event(parsing: Array(line.utf8))
        #expect(event.kind == .start)
        #expect(event.text == "x")
    }

    @Test(arguments: [
        "", "{}", #"{"event":"start"}"#, #"{"event":"party","time":"2023-11-14T22:13:20Z"}"#,
        #"{"event":"start","time":"now"}"#, #"{"event":"start","time":"2023-11-14T22:13:20Z"} x"#,
        #"{"version":0,"event":"start","time":"2023-11-14T22:13:20Z"}"#,
    ])
    func refusesOtherLines(line: String) {
        #expect(throws: ByteError.self) { try EventRecord.event(parsing: Array(line.utf8)) }
    }

    @Test func thePageShowsTheLine() throws {
        let page = try GoldenPage("event-record")
        #expect(EventRecord.line(BatchExamples.event) == (try page("the line of an OOM kill")))
        #expect(EventRecord.metadata(BatchExamples.event).encoded == (try page("its structured metadata")))
    }
}
