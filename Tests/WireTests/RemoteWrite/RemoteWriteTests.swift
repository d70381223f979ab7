internal import Telemetry
internal import TestSupport
internal import Testing

@testable import Wire

/// Remote write 1.0: what comes out is what was sent, however a sender orders it.
@Suite struct RemoteWriteTests {
    private func request(_ series: [[UInt8]], metadata: [[UInt8]] = []) -> [UInt8] {
        ProtobufWriter.message { writer in
            for one in series { writer.put(1, one) }
            for one in metadata { writer.put(3, one) }
        }
    }

    private func read(_ body: [UInt8], _ memory: SeriesMemory = SeriesMemory()) throws -> RemoteWriteRequest {
        try RemoteWriteReader.read(body, memory: memory)
    }

    private let up = [("__name__", "up"), ("instance", "a:1"), ("job", "n")]

    @Test func theBytesOfAKnownSenderAreUnderstood() throws {
        // One series {__name__="up"} with 1 at 1000 ms, as prompb encodes it.
        let hex = "0a1e" + "0a0e" + "0a085f5f6e616d655f5f" + "12027570" + "120c" + "09000000000000f03f" + "10e807"
        let request = try read(try #require(Hexadecimal.bytes(hex)))
        let group = try #require(request.batch.groups.first)
        #expect(group.series.map(\.labels) == [Labels(["__name__": "up"])])
        #expect(group.values == [1])
        #expect(group.timesMilliseconds == [1000])
    }

    @Test func severalSeriesAndSamplesKeepTheirPlaces() throws {
        let request = try read(
            request([
                ProtobufWriter.series(up, [(1000, 1), (2000, 0)]),
                ProtobufWriter.series([("__name__", "load")], [(-5, .infinity)]),
            ]))
        let group = try #require(request.batch.groups.first)
        #expect(group.series.map(\.labels.description) == [#"up{instance="a:1", job="n"}"#, "load"])
        #expect(group.seriesIndexes == [0, 0, 1])
        #expect(group.timesMilliseconds == [1000, 2000, -5])
        #expect(group.values == [1, 0, .infinity])
        #expect(request.rejections.isEmpty)
    }

    @Test func staleMarkersKeepTheirBits() throws {
        let request = try read(request([ProtobufWriter.series(up, [(1, Sample.stale)])]))
        #expect(request.batch.groups[0].values.map(\.bitPattern) == [Sample.stale.bitPattern])
    }

    @Test func labelsOutOfOrderAndEmptyOnesAreMended() throws {
        let labels = [("job", "n"), ("__name__", "up"), ("zone", ""), ("instance", "a:1")]
        let request = try read(request([ProtobufWriter.series(labels, [(1, 1)]), ProtobufWriter.series(up, [(2, 2)])]))
        let group = try #require(request.batch.groups.first)
        #expect(group.series.map(\.labels) == [Labels(up.map { ($0, $1) }), Labels(up.map { ($0, $1) })])
    }

    @Test func seriesThatCannotBeRightAreRefusedAndTheOthersKept() throws {
        let request = try read(
            request([
                ProtobufWriter.series([("__name__", "a"), ("x", "1"), ("x", "2")], [(7, 1), (8, 1)]),
                ProtobufWriter.series(up, [(9, 3)]),
                ProtobufWriter.series([], [(1, 1)]),
                ProtobufWriter.message { series in
                    series.put(
                        1,
                        ProtobufWriter.message {
                            $0.put(1, [0xff]); $0.put(2, "v")
                        })
                    series.put(
                        2,
                        ProtobufWriter.message {
                            $0.put(1, 5.0); $0.put(2, 4 as Int64)
                        })
                },
            ]))
        #expect(request.rejections.map(\.count) == [2, 1, 1])
        #expect(request.rejections.allSatisfy { $0.reason == .invalidLabels })
        let group = try #require(request.batch.groups.first)
        #expect(group.values == [3])
        #expect(group.seriesIndexes.map { group.series[Int($0)].labels["job"] } == ["n"])
    }

    @Test func histogramsComeAsCountsWhetherSentAsDeltasOrNot() throws {
        let spans = ProtobufWriter.message {
            $0.putSigned(1, -2); $0.put(2, 3 as UInt64)
        }
        let integer = ProtobufWriter.message { histogram in
            histogram.put(1, 9 as UInt64)
            histogram.put(3, 12.5)
            histogram.putSigned(4, 2)
            histogram.put(5, 0.001)
            histogram.put(6, 1 as UInt64)
            histogram.put(11, spans)
            histogram.putPacked(12, signed: [2, 1, -1])
            histogram.put(14, 3 as UInt64)
            histogram.put(15, 77 as Int64)
        }
        let float = ProtobufWriter.message { histogram in
            histogram.put(2, 8.5)
            histogram.putSigned(4, -53)
            histogram.put(11, ProtobufWriter.message { $0.put(2, 2 as UInt64) })
            histogram.putPacked(13, [4, 4.5])
            histogram.put(15, 78 as Int64)
            histogram.putPacked(16, [1])
        }
        var series = ProtobufWriter()
        series.put(
            1,
            ProtobufWriter.message {
                $0.put(1, "__name__"); $0.put(2, "h")
            })
        series.put(4, integer)
        series.put(4, float)
        let found = try read(request([series.bytes])).batch.groups[0].histograms
        #expect(found.map(\.milliseconds) == [77, 78])
        #expect(found[0].histogram.count == 9)
        #expect(found[0].histogram.isInteger)
        #expect(found[0].histogram.positiveSpans == [NativeHistogram.Span(offset: -2, length: 3)])
        #expect(found[0].histogram.positiveCounts == [2, 3, 2])
        #expect(found[0].histogram.counterResetHint == .gauge)
        #expect(found[1].histogram.positiveCounts == [4, 4.5])
        #expect(found[1].histogram.customBounds == [1])
        #expect(!found[1].histogram.isInteger)
    }

    @Test func exemplarsAndMetadataComeAlong() throws {
        var series = ProtobufWriter()
        series.put(
            1,
            ProtobufWriter.message {
                $0.put(1, "__name__"); $0.put(2, "c")
            })
        series.put(
            3,
            ProtobufWriter.message { exemplar in
                exemplar.put(
                    1,
                    ProtobufWriter.message {
                        $0.put(1, "trace_id"); $0.put(2, "0f")
                    })
                exemplar.put(2, 0.5)
                exemplar.put(3, 12 as Int64)
            })
        let metadata = ProtobufWriter.message { entry in
            entry.put(1, 1 as UInt64)
            entry.put(2, "c")
            entry.put(4, "Counts.")
            entry.put(5, "bytes")
        }
        let request = try read(request([series.bytes], metadata: [metadata]))
        #expect(request.batch.groups[0].exemplars.map(\.labels) == [Labels(["trace_id": "0f"])])
        #expect(
            request.batch.metadata == [MetricMetadata(metricName: "c", kind: .counter, unit: "bytes", help: "Counts.")])
    }

    @Test(arguments: ["0a", "0a05", "0a020a05", "08", "07", "00", "0a1112ff"])
    func damageIsRefusedAsAWhole(_ hex: String) throws {
        let bytes = try #require(Hexadecimal.bytes(hex))
        #expect(throws: RemoteWriteError.self) { try read(bytes) }
    }

    @Test func knownSeriesCarryTheirIdsAndCostNoHash() throws {
        let memory = SeriesMemory()
        let body = request((0..<50).map { ProtobufWriter.series([("__name__", "m\($0)")], [(1, 1)]) })
        let first = try read(body, memory)
        memory.learn((0..<50).map { SeriesID(rawValue: UInt64($0) + 7) }, at: first.places)
        let second = try read(body, memory)
        let ids = second.batch.groups[0].series.compactMap { series in
            if case .known(let id, _) = series { id.rawValue } else { nil }
        }
        #expect(ids == (7..<57).map { UInt64($0) })
        // Only the first series of a request has no predecessor to know it by.
        #expect(memory.statistics.misses == 51)
        #expect(memory.statistics.hits == 49)
    }

    @Test func aFullMemoryForgetsWhatWasNotSeenAndNeverMixesUp() throws {
        let memory = SeriesMemory(seriesMaximum: 100)
        var random = SeededGenerator(seed: 3)
        var ids: [Labels: UInt64] = [:]
        for _ in 0..<200 {
            let names = (0..<random.int(in: 1..<30)).map { _ in "m\(random.int(in: 0..<400))" }
            let found = try read(request(names.map { ProtobufWriter.series([("__name__", $0)], [(1, 1)]) }), memory)
            let group = found.batch.groups[0]
            #expect(group.series.map { $0.labels.metricName } == names)
            for case .known(let id, let labels) in group.series { #expect(ids[labels] == id.rawValue) }
            let learned = group.series.map { series in
                let id = ids[series.labels] ?? UInt64(ids.count)
                ids[series.labels] = id
                return SeriesID(rawValue: id)
            }
            memory.learn(learned, at: found.places)
            #expect(memory.statistics.series <= 100)
        }
    }

    @Test func noBytesBreakTheReader() throws {
        try RemoteWriteFuzzer.runFromTable()
    }
}
