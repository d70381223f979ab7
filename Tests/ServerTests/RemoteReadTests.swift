import Telemetry
import TestSupport
import Testing
import Wire

@testable import Server

/// `POST /api/v1/read`, as Prometheus asks.
@Suite struct RemoteReadTests {
    private func query(_ start: Int64, _ end: Int64, _ matchers: [(UInt64, String, String)]) -> [UInt8] {
        ProtobufWriter.message { query in
            query.put(1, start)
            query.put(2, end)
            for (type, name, value) in matchers {
                query.put(
                    3,
                    ProtobufWriter.message { matcher in
                        matcher.put(1, type)
                        matcher.put(2, name)
                        matcher.put(3, value)
                    })
            }
        }
    }

    private func read(_ fixture: ServerFixture, _ message: [UInt8]) async throws -> HTTPReply {
        let fields = [
            HTTPField("Content-Type", "application/x-protobuf"), HTTPField("Content-Encoding", "snappy"),
            HTTPField("X-Prometheus-Remote-Read-Version", "0.1.0"),
        ]
        return try await fixture.send(
            "POST", "/api/v1/read", fields: fields, body: Compression.snappy.compress(message))
    }

    private func filled() async throws -> ServerFixture {
        let fixture = try await ServerFixture.start()
        for (instance, value) in [("a", 1.5), ("b", 2)] {
            fixture.metrics.add(["__name__": "up", "instance": instance], ServerFixture.now, value)
        }
        fixture.metrics.add(["__name__": "other"], ServerFixture.now, 3)
        return fixture
    }

    @Test func everyQueryHasItsResult() async throws {
        let fixture = try await filled()
        let (start, end) = (ServerFixture.now - 1_000, ServerFixture.now)
        let message = ProtobufWriter.message { request in
            request.put(1, query(start, end, [(0, "__name__", "up"), (3, "instance", "b|c")]))
            request.put(1, query(start, end, [(2, "__name__", "nothing.*")]))
            request.put(1, query(start, end, [(0, "__name__", "other"), (1, "instance", "x")]))
            // Samples rather than chunks.
            request.put(2, UInt64(0))
            request.put(2, UInt64(1))
        }
        let reply = try await read(fixture, message)
        #expect(reply.status == 200, "\(reply.text)")
        #expect(reply.fields["content-type"] == "application/x-protobuf")
        #expect(reply.fields["content-encoding"] == "snappy")
        let expected = ProtobufWriter.message { response in
            for series in [
                [ProtobufWriter.series([("__name__", "up"), ("instance", "a")], [(ServerFixture.now, 1.5)])], [],
                [ProtobufWriter.series([("__name__", "other")], [(ServerFixture.now, 3)])],
            ] {
                response.put(
                    1,
                    ProtobufWriter.message { result in
                        for one in series { result.put(1, one) }
                    })
            }
        }
        #expect(try Compression.snappy.decompress(reply.body, bytesMaximum: 1 << 20) == expected)
    }

    @Test func whoAsksForChunksGetsAStream() async throws {
        let fixture = try await filled()
        let (start, end) = (ServerFixture.now - 1_000, ServerFixture.now)
        let message = ProtobufWriter.message { request in
            request.put(1, query(start, end, [(2, "__name__", "nothing.*")]))
            request.put(1, query(start, end, [(0, "__name__", "up")]))
            // Kinds that nobody knows yet are passed over.
            for kind in [7, 1, 0] as [UInt64] { request.put(2, kind) }
        }
        let reply = try await read(fixture, message)
        #expect(reply.status == 200, "\(reply.text)")
        let type = "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse"
        #expect(reply.fields["content-type"] == type && reply.fields["content-encoding"] == nil)
        var expected = ByteWriter()
        for (instance, value) in [("a", 1.5), ("b", 2)] {
            let data = ByteWriter.chunk(ServerFixture.now, value)
            let frame = ProtobufWriter.message { frame in
                frame.put(
                    1,
                    ProtobufWriter.message { series in
                        for (name, value) in [("__name__", "up"), ("instance", instance)] {
                            series.put(
                                1,
                                ProtobufWriter.message { label in
                                    label.put(1, name)
                                    label.put(2, value)
                                })
                        }
                        series.put(
                            2,
                            ProtobufWriter.message { chunk in
                                chunk.put(1, ServerFixture.now)
                                chunk.put(2, ServerFixture.now)
                                chunk.put(3, UInt64(1))
                                chunk.put(4, data)
                            })
                    })
                frame.put(2, UInt64(1))
            }
            expected.putVarint(UInt64(frame.count))
            // RFC 3720, B.4, the highest byte first.
            for shift in [24, 16, 8, 0] {
                expected.put(UInt8(truncatingIfNeeded: Checksum.crc32c(frame) >> UInt32(shift)))
            }
            expected.put(frame)
        }
        #expect(reply.body == expected.bytes)
        #expect(Checksum.crc32c(Array("123456789".utf8)) == 0xe306_9283)
        let nothing = try await read(
            fixture,
            ProtobufWriter.message { request in
                request.put(1, query(start, end, [(0, "__name__", "nothing")]))
                request.put(2, UInt64(1))
            })
        #expect(nothing.status == 200 && nothing.body.isEmpty)
        await expectNoQueries(fixture)
    }

    /// A stream is a query like others: listed until its last piece is sent.
    private func expectNoQueries(_ fixture: ServerFixture) async {
        for _ in 0..<1_000 {
            if let reply = try? await fixture.get("/api/v1/status/queries"), reply.text.contains("\"data\":[]") {
                return
            }
            await Task.yield()
        }
        Issue.record("a query is listed although its answer is over")
    }

    @Test func whatCannotBeAnsweredIsRefusedInWords() async throws {
        let fixture = try await filled()
        let (start, end) = (ServerFixture.now - 1_000, ServerFixture.now)
        for (message, words) in [
            ([0xff, 0xff], "no ReadRequest"),
            (ProtobufWriter.message { $0.put(1, query(start, end, [(2, "job", "(")])) }, "the matcher of job"),
            (ProtobufWriter.message { $0.put(1, query(start, end, [(9, "job", "a")])) }, "type 9"),
            (ProtobufWriter.message { $0.put(2, UInt64(9)) }, "STREAMED_XOR_CHUNKS"),
        ] as [([UInt8], String)] {
            let reply = try await read(fixture, message)
            #expect(reply.status == 400 && reply.text.contains(words), "\(reply.status) \(reply.text)")
        }
    }

    @Test func histogramsComeBackAsTheyWereWritten() throws {
        var whole = NativeHistogram()
        (whole.schema, whole.zeroThreshold, whole.zeroCount, whole.count, whole.sum) = (3, 0.001, 2, 14, -1.25)
        whole.positiveSpans = [.init(offset: -2, length: 2), .init(offset: 3, length: 1)]
        whole.positiveCounts = [4, 1, 5]
        whole.negativeSpans = [.init(offset: 0, length: 1)]
        whole.negativeCounts = [2]
        (whole.isInteger, whole.counterResetHint) = (true, .gauge)
        var broken = whole
        (broken.isInteger, broken.count, broken.positiveCounts) = (false, 14.5, [4.5, 1, 5])
        var custom = NativeHistogram()
        (custom.schema, custom.count, custom.customBounds) = (NativeHistogram.customBucketsSchema, 3, [0.5, 1])
        (custom.positiveSpans, custom.positiveCounts, custom.isInteger) = ([.init(offset: 0, length: 2)], [1, 2], true)
        for histogram in [whole, broken, custom] {
            var buffer = SampleBuffer()
            buffer.timesMilliseconds = [-5]
            buffer.histograms = [histogram]
            var response = RemoteReadResponse()
            response.beginSeries(Labels(["__name__": "h"]))
            response.add(buffer)
            response.endSeries()
            response.endResult()
            // A result holds series in the field in which a write request does.
            let write = try RemoteWriteReader.read(
                try #require(Self.firstField(of: response.bytes)), memory: SeriesMemory(seriesMaximum: 10))
            let sample = try #require(write.batch.groups.first?.histograms.first)
            #expect(sample.histogram == histogram)
            #expect(sample.milliseconds == -5)
        }
    }

    /// The bytes of a message's only field.
    private static func firstField(of message: [UInt8]) -> [UInt8]? {
        message.withUnsafeBytes { raw in
            var reader = ByteReader(raw)
            guard let tag = try? reader.varint(), tag == 1 << 3 | 2, let length = try? reader.varint() else {
                return nil
            }
            return Array(message.suffix(Int(length)))
        }
    }
}

extension ByteWriter {
    /// A chunk of one sample: its number, the time as a zigzag-coded varint, and the eight bytes of the value.
    fileprivate static func chunk(_ milliseconds: Int64, _ value: Double) -> [UInt8] {
        var writer = ByteWriter()
        writer.put([0, 1])
        writer.putSigned(milliseconds)
        for shift in stride(from: UInt64(56), through: 0, by: -8) {
            writer.put(UInt8(truncatingIfNeeded: value.bitPattern >> shift))
        }
        return writer.bytes
    }
}
