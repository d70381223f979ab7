internal import Telemetry
internal import TestSupport
internal import Testing

@testable import Wire

@Suite struct AgentBatchTests {
    /// Decodes as a server does.
    func decode(_ body: [UInt8], _ dictionary: SeriesDictionary) throws -> AgentBatchDecoder.Decoded {
        try body.withUnsafeBytes { try AgentBatchDecoder($0).batch(resolving: dictionary) }
    }

    @Test func everySignalComesBackAsItWas() throws {
        var random = SeededGenerator(seed: 1)
        var encoder = AgentFrameEncoder()
        let dictionary = SeriesDictionary()
        for sequence in 1...400 {
            if random.oneIn(20) { encoder.beginSegment() }
            let batch = BatchExamples.batch(BatchExamples.randomSignal(&random), sequence: UInt64(sequence))
            let decoded = try decode(AgentBatchEncoder.body(of: batch, with: &encoder), dictionary).batch
            #expect(decoded.information == batch.information)
            #expect(decoded.delivery == batch.delivery)
            #expect(BatchExamples.words(decoded.signal) == BatchExamples.words(batch.signal))
        }
    }

    @Test func everyDoubleComesBackBitForBit() throws {
        var random = SeededGenerator(seed: 2)
        for _ in 0..<20_000 {
            let value = BatchExamples.randomValue(&random)
            var writer = ByteWriter()
            NumberCode.write(value, to: &writer)
            #expect(writer.count <= 9)
            try writer.bytes.withUnsafeBytes { raw in
                var reader = ByteReader(raw)
                let found = try NumberCode.read(&reader)
                #expect(found.bitPattern == value.bitPattern)
                #expect(reader.isAtEnd)
            }
        }
    }

    @Test func theBatchCarriesItsDelivery() throws {
        var encoder = AgentFrameEncoder()
        let body = AgentBatchEncoder.body(
            of: BatchExamples.batch(.samples(BatchExamples.tick, isUrgent: false), sequence: 9), with: &encoder)
        guard case .samples(let batch, _) = try decode(body, SeriesDictionary()).batch.signal else {
            Issue.record("another signal came back")
            return
        }
        #expect(batch.delivery == BatchExamples.delivery(9))
    }

    @Test func declaresOncePerSegment() throws {
        var encoder = AgentFrameEncoder()
        let first = encoder.encode(.samples(BatchExamples.tick, isUrgent: false))
        let second = encoder.encode(.samples(BatchExamples.tick, isUrgent: false))
        #expect(!first.declarations.isEmpty)
        #expect(second.declarations.isEmpty)
        #expect(second.data == first.data)
        encoder.beginSegment()
        let third = encoder.encode(.samples(BatchExamples.tick, isUrgent: false))
        #expect(third == first, "ids stay the same within an epoch")
        #expect(encoder.labelSetCount == 3)
        encoder.beginSegment()
        encoder.beginSegment()
        #expect(encoder.labelSetCount == 0, "what a whole segment did not use is forgotten")
        let fourth = encoder.encode(.samples(BatchExamples.tick, isUrgent: false))
        #expect(fourth.data != first.data, "an id is never given twice")
        #expect(encoder.followingID == 7)
    }

    @Test func followsATargetWhoseSeriesComeAndGo() throws {
        var random = SeededGenerator(seed: 12)
        var encoder = AgentFrameEncoder()
        let dictionary = SeriesDictionary()
        var names = Array(0..<12)
        for tick in 0..<200 {
            if random.oneIn(3) { names.insert(random.int(in: 0..<40), at: random.int(in: 0..<names.count)) }
            if random.oneIn(3), names.count > 1 { names.remove(at: random.int(in: 0..<names.count)) }
            if random.oneIn(9) { names.shuffle(using: &random) }
            if random.oneIn(30) { encoder.beginSegment() }
            var group = SampleGroup(target: Labels(["t": "\(random.int(in: 0..<2))"]))
            for name in names { group.append(Labels(["n": "\(name)"]), milliseconds: Int64(tick), value: Double(name)) }
            let signal = AgentBatch.Signal.samples(SampleBatch(groups: [group]), isUrgent: false)
            let body = AgentBatchEncoder.body(of: BatchExamples.batch(signal), with: &encoder)
            let decoded = try decode(body, dictionary)
            #expect(BatchExamples.words(decoded.batch.signal) == BatchExamples.words(signal))
        }
    }

    @Test func asksForDeclarationsItDoesNotHave() throws {
        var encoder = AgentFrameEncoder()
        let declared = encoder.encode(.samples(BatchExamples.tick, isUrgent: false)).declarations
        let data = encoder.encode(.samples(BatchExamples.tick, isUrgent: false)).data
        let dictionary = SeriesDictionary()
        let bare = AgentBatchEncoder.body(
            information: BatchExamples.information, delivery: BatchExamples.delivery(1), frames: [data])
        #expect(throws: AgentProtocolError.undeclared(id: 1)) { try decode(bare, dictionary) }
        let whole = AgentBatchEncoder.body(
            information: BatchExamples.information, delivery: BatchExamples.delivery(1), frames: [declared, data])
        _ = try decode(whole, dictionary)
        _ = try decode(bare, dictionary)
    }

    @Test func refusesToRedefineAnID() throws {
        let dictionary = SeriesDictionary()
        #expect(dictionary.declare(1, Labels(["a": "b"])))
        #expect(dictionary.declare(1, Labels(["a": "b"])))
        #expect(!dictionary.declare(1, Labels(["a": "c"])))
        var encoder = AgentFrameEncoder()
        let body = AgentBatchEncoder.body(
            of: BatchExamples.batch(.samples(BatchExamples.tick, isUrgent: true)), with: &encoder)
        #expect(throws: AgentProtocolError.self) { try decode(body, dictionary) }
    }

    @Test func mergesTheFramesOfOneSignal() throws {
        var encoder = AgentFrameEncoder()
        let first = encoder.encode(.samples(BatchExamples.tick, isUrgent: false))
        let second = encoder.encode(.samples(BatchExamples.tick, isUrgent: true))
        let lines = encoder.encode(.lines(BatchExamples.lines))
        let body = AgentBatchEncoder.body(
            information: BatchExamples.information, delivery: BatchExamples.delivery(1),
            frames: [first.declarations, first.data, second.data])
        let decoded = try decode(body, SeriesDictionary())
        guard case .samples(let batch, let isUrgent) = decoded.batch.signal else {
            Issue.record("another signal came back")
            return
        }
        #expect(batch.groups.count == 2)
        #expect(isUrgent)
        #expect(decoded.declaredIDs == [[2, 3], [2, 3]])
        let mixed = AgentBatchEncoder.body(
            information: BatchExamples.information, delivery: BatchExamples.delivery(1),
            frames: [first.declarations, first.data, lines.declarations, lines.data])
        #expect(throws: AgentProtocolError.self) { try decode(mixed, SeriesDictionary()) }
        let empty = AgentBatchEncoder.body(
            information: BatchExamples.information, delivery: BatchExamples.delivery(1), frames: [first.declarations])
        #expect(throws: AgentProtocolError.self) { try decode(empty, SeriesDictionary()) }
    }

    @Test func remembersTheDatabasesIDs() throws {
        var encoder = AgentFrameEncoder()
        let dictionary = SeriesDictionary()
        let batch = BatchExamples.batch(.samples(BatchExamples.tick, isUrgent: false))
        let first = try decode(AgentBatchEncoder.body(of: batch, with: &encoder), dictionary)
        let ids = [SeriesID(rawValue: 70), SeriesID(rawValue: 71)]
        dictionary.learn([ids], of: first.declaredIDs)
        let second = try decode(AgentBatchEncoder.body(of: batch, with: &encoder), dictionary)
        guard case .samples(let found, _) = second.batch.signal else { return }
        let series = BatchExamples.tick.groups[0].series
        #expect(found.groups[0].series == [.known(ids[0], series[0].labels), .known(ids[1], series[1].labels)])
        dictionary.learn([[]], of: first.declaredIDs)
        dictionary.learn([], of: first.declaredIDs)
    }

    @Test func aGroupListedInTheSameBytesIsTheSameArray() throws {
        var encoder = AgentFrameEncoder()
        let dictionary = SeriesDictionary()
        let batch = BatchExamples.batch(.samples(BatchExamples.tick, isUrgent: false))
        func group() throws -> (group: SampleGroup, ids: [[UInt64]]) {
            let decoded = try decode(AgentBatchEncoder.body(of: batch, with: &encoder), dictionary)
            guard case .samples(let found, _) = decoded.batch.signal else { return (SampleGroup(), []) }
            return (found.groups[0], decoded.declaredIDs)
        }
        func place(_ series: [SeriesReference]) -> UnsafePointer<SeriesReference>? {
            series.withUnsafeBufferPointer(\.baseAddress)
        }
        let first = try group()
        #expect(!first.group.keepsSeries)
        dictionary.learn([[SeriesID(rawValue: 70), SeriesID(rawValue: 71)]], of: first.ids)
        let (second, third) = (try group(), try group())
        #expect(second.group.keepsSeries && third.group.keepsSeries)
        #expect(place(second.group.series) == place(third.group.series) && second.ids == third.ids)
        // What the database says later holds, and an answer without ids changes nothing.
        dictionary.learn([[]], of: third.ids)
        #expect(place(try group().group.series) == place(third.group.series))
        dictionary.learn([[SeriesID(rawValue: 80), SeriesID(rawValue: 81)]], of: third.ids)
        let fourth = try group()
        #expect(fourth.group.series.map(\.labels) == third.group.series.map(\.labels))
        #expect(fourth.group.series != third.group.series && fourth.group.keepsSeries)
    }

    @Test func listsOfAnAgentStayBounded() throws {
        let dictionary = SeriesDictionary()
        #expect(dictionary.declare(1, Labels(["a": "b"])))
        dictionary.learn([[SeriesID(rawValue: 7)]], of: [[1]])
        let before = dictionary.memoryBytes
        for target in UInt64(0)..<10_000 {
            var writer = ByteWriter()
            writer.putSigned(1)
            _ = try dictionary.resolving { resolver throws(AgentProtocolError) in
                let result = writer.bytes.withUnsafeBytes { raw in
                    Result { () throws(ByteError) in
                        var reader = ByteReader(raw)
                        return try resolver.readSeries(1, target: target, interval: 1, from: &reader).series.count
                    }
                }
                switch result {
                case .success(let count): return count
                case .failure(let error): throw .malformed(error)
                }
            }
        }
        #expect(dictionary.memoryBytes - before < 1 << 20)
    }

    @Test func namesAVersionItDoesNotKnow() {
        let body: [UInt8] = [9, 0, 0]
        #expect(throws: AgentProtocolError.version(9)) { try decode(body, SeriesDictionary()) }
        #expect(AgentProtocolError.version(9).description.contains("version 9"))
    }

    @Test func refusesAnotherShapeOfIdentity() {
        let information = AgentInformation(agent: "root", node: "n", version: "1", sentNanoseconds: 0)
        let body = AgentBatchEncoder.body(information: information, delivery: BatchExamples.delivery(1), frames: [])
        #expect(throws: AgentProtocolError.self) { try decode(body, SeriesDictionary()) }
    }

    @Test func refusesEveryCut() throws {
        var encoder = AgentFrameEncoder()
        for signal in [
            AgentBatch.Signal.samples(BatchExamples.tick, isUrgent: false), .lines(BatchExamples.lines),
            .events([BatchExamples.event]),
        ] {
            encoder.beginSegment()
            let body = AgentBatchEncoder.body(of: BatchExamples.batch(signal), with: &encoder)
            for length in 0..<body.count {
                #expect(throws: AgentProtocolError.self) { try decode(Array(body[..<length]), SeriesDictionary()) }
            }
        }
    }

    @Test func aHostileCountAsksForNoMemory() throws {
        var payload = ByteWriter()
        payload.put(0)
        payload.putVarint(1 << 40)
        var body = ByteWriter(
            adopting: AgentBatchEncoder.body(
                information: BatchExamples.information, delivery: BatchExamples.delivery(1), frames: []))
        body.put(2)
        body.putPrefixed(Compression.lz4Frame.compress(payload.bytes))
        #expect(throws: AgentProtocolError.self) { try decode(body.bytes, SeriesDictionary()) }
    }
}

@Suite struct SeriesDictionariesTests {
    @Test func keepsTwoEpochsPerAgent() {
        let dictionaries = SeriesDictionaries()
        let first = dictionaries.dictionary(agent: "a", epoch: 1)
        #expect(dictionaries.dictionary(agent: "a", epoch: 1) === first)
        #expect(dictionaries.dictionary(agent: "b", epoch: 1) !== first)
        let second = dictionaries.dictionary(agent: "a", epoch: 2)
        #expect(second !== first)
        #expect(dictionaries.dictionary(agent: "a", epoch: 1) === first, "an old backlog and live batches take turns")
        let third = dictionaries.dictionary(agent: "a", epoch: 3)
        #expect(dictionaries.dictionary(agent: "a", epoch: 3) === third)
        #expect(dictionaries.dictionary(agent: "a", epoch: 1) === first)
        #expect(dictionaries.dictionary(agent: "a", epoch: 2) !== second, "the one used longest ago went")
    }

    @Test func staysWithinItsMemory() {
        let dictionaries = SeriesDictionaries(bytesMaximum: 10_000)
        for agent in 0..<20 {
            let dictionary = dictionaries.dictionary(agent: "\(agent)", epoch: 1)
            for id in 0..<10 { _ = dictionary.declare(UInt64(id), Labels(["n": "\(id)"])) }
            _ = dictionaries.dictionary(agent: "\(agent)", epoch: 1)
        }
        #expect(dictionaries.memoryBytes <= 10_000)
        #expect(dictionaries.memoryBytes > 5000)
        #expect(dictionaries.dictionary(agent: "19", epoch: 1).count == 10)
        #expect(dictionaries.dictionary(agent: "0", epoch: 1).count == 0)
        #expect(dictionaries.releaseMemory(bytes: .max) > 5000)
        #expect(dictionaries.memoryBytes == 0)
    }
}
