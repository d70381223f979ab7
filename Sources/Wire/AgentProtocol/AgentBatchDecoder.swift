package import Telemetry

/// Reads the body of one request: first who sends it, so that the caller can check that against the connection, then
/// the batch.
package struct AgentBatchDecoder {
    /// Who sends, as the header says. `delivery.sender.agent` is the same as `information.agent`.
    package let information: AgentInformation
    package let delivery: DeliveryIdentity
    private let reader: ByteReader

    /// Reads the header of `body`, which must outlive the decoder.
    package init(_ body: UnsafeRawBufferPointer) throws(AgentProtocolError) {
        var reader = ByteReader(body)
        do throws(ByteError) {
            try reader.version()
            information = AgentInformation(
                agent: try AgentBatchDecoder.agent(from: &reader), node: try reader.text(), version: try reader.text(),
                sentNanoseconds: try reader.fixed())
            let epoch = try reader.varint()
            let laneOffset = reader.offset
            guard let lane = DeliveryIdentity.Lane(rawValue: try reader.byte()) else {
                throw ByteError(offset: laneOffset, reason: "unknown lane")
            }
            let sender = DeliveryIdentity.Sender(agent: information.agent, epoch: epoch, lane: lane)
            delivery = DeliveryIdentity(sender: sender, sequence: try reader.varint())
        } catch {
            throw AgentProtocolError(error, in: body)
        }
        self.reader = reader
    }

    /// A batch and the names its series go by between agent and server.
    package struct Decoded: Sendable {
        package var batch: AgentBatch
        /// For each group of samples, the declared id of each series: what `SeriesDictionary.learn` wants back together
        /// with the receipt's series ids. Empty for other signals.
        package var declaredIDs: [[UInt64]]
    }

    /// Reads the batch and resolves its ids. Declarations of the body are learned even when its data is refused.
    package func batch(resolving dictionary: SeriesDictionary) throws(AgentProtocolError) -> Decoded {
        var reader = reader
        var collected: AgentBatch.Signal?
        var declaredIDs: [[UInt64]] = []
        var frames = 0
        while !reader.isAtEnd {
            let start = reader.offset
            frames += 1
            guard frames <= AgentProtocol.framesMaximum else {
                throw .malformed(ByteError(offset: start, reason: "more than \(AgentProtocol.framesMaximum) frames"))
            }
            let (kind, payload) = try frame(&reader)
            switch kind {
            case .declarations: try AgentBatchDecoder.learn(payload, into: dictionary)
            case .samples, .lines, .events:
                let signal = try AgentBatchDecoder.signal(kind, payload, dictionary, &declaredIDs)
                guard AgentBatchDecoder.merge(signal, into: &collected) else {
                    throw .malformed(ByteError(offset: start, reason: "frame of another signal, or too much at once"))
                }
            }
        }
        guard let collected else {
            throw .malformed(ByteError(offset: reader.offset, reason: "body without a data frame"))
        }
        let batch = AgentBatch(information: information, delivery: delivery, signal: delivered(collected))
        return Decoded(batch: batch, declaredIDs: declaredIDs)
    }

    private func frame(
        _ reader: inout ByteReader
    ) throws(AgentProtocolError) -> (kind: AgentProtocol.FrameKind, payload: [UInt8]) {
        let start = reader.offset
        do {
            guard let kind = AgentProtocol.FrameKind(rawValue: try reader.byte()) else {
                throw ByteError(offset: start, reason: "unknown kind of frame; the agent may be newer than the server")
            }
            let small = try reader.prefixed()
            let payload = try Compression.lz4Frame.decompress(small, bytesMaximum: AgentProtocol.payloadBytesMaximum)
            return (kind, payload)
        } catch let error as CompressionError {
            throw .malformed(ByteError(offset: start, reason: "frame: \(error)"))
        } catch let error as ByteError {
            throw .malformed(error)
        } catch {
            throw .malformed(ByteError(offset: start, reason: "\(error)"))
        }
    }

    private static func agent(from reader: inout ByteReader) throws(ByteError) -> String {
        let start = reader.offset
        let agent = try reader.text()
        guard agent.utf8.count == 32, agent.utf8.allSatisfy({ Hexadecimal.value(of: $0) != nil }) else {
            throw ByteError(offset: start, reason: "agent identity is not 32 hexadecimal digits")
        }
        return agent
    }

    private static func learn(_ payload: [UInt8], into dictionary: SeriesDictionary) throws(AgentProtocolError) {
        let declared = try reading(payload) { reader throws(ByteError) in
            var declared: [(id: UInt64, labels: Labels)] = []
            var id: UInt64 = 0
            for _ in 0..<(try reader.count(upTo: min(reader.remaining, AgentProtocol.itemsMaximum), "declarations")) {
                id = id &+ UInt64(bitPattern: try reader.signed())
                declared.append((id, try reader.boundedLabels()))
            }
            return declared
        }
        for (id, labels) in declared where !dictionary.declare(id, labels) {
            throw .malformed(ByteError(offset: 0, reason: "label set \(id) was declared before as something else"))
        }
    }

    private static func signal(
        _ kind: AgentProtocol.FrameKind, _ payload: [UInt8], _ dictionary: SeriesDictionary,
        _ declaredIDs: inout [[UInt64]]
    ) throws(AgentProtocolError) -> AgentBatch.Signal {
        let (signal, groups) = try dictionary.resolving { resolver throws(AgentProtocolError) in
            let signal = try reading(payload) { reader throws(ByteError) -> AgentBatch.Signal in
                switch kind {
                case .lines: .lines(try LinesPayload.read(&reader) { resolver.labels(of: $0) })
                case .events: .events(try EventsPayload.read(&reader))
                case .samples, .declarations: try SamplesPayload.read(&reader, resolver)
                }
            }
            if let id = resolver.firstUnknown { throw AgentProtocolError.undeclared(id: id) }
            return (signal, resolver.groups)
        }
        declaredIDs += groups
        return signal
    }

    /// Runs `body` over all of `payload`, whose offsets are those of the restored payload.
    private static func reading<Value>(
        _ payload: [UInt8], _ body: (inout ByteReader) throws(ByteError) -> Value
    ) throws(AgentProtocolError) -> Value {
        let result = payload.withUnsafeBytes { raw in
            Result { () throws(ByteError) in
                var reader = ByteReader(raw)
                let value = try body(&reader)
                guard reader.isAtEnd else { throw ByteError(offset: reader.offset, reason: "payload goes on") }
                return value
            }
        }
        switch result {
        case .success(let value): return value
        case .failure(let error): throw .malformed(ByteError(offset: error.offset, reason: "payload: \(error.reason)"))
        }
    }

    /// Adds a frame's signal to those before it; false when it is of another kind or the batch gets too large.
    private static func merge(_ signal: AgentBatch.Signal, into collected: inout AgentBatch.Signal?) -> Bool {
        switch (collected, signal) {
        case (nil, _): collected = signal
        case (.samples(var all, let wasUrgent), .samples(let more, let isUrgent)):
            all.groups += more.groups
            all.metadata += more.metadata
            collected = .samples(all, isUrgent: wasUrgent || isUrgent)
            return all.sampleCount <= AgentProtocol.itemsMaximum
        case (.lines(var all), .lines(let more)):
            all.streams += more.streams
            all.losses += more.losses
            collected = .lines(all)
            return all.lineCount <= AgentProtocol.itemsMaximum
        case (.events(let all), .events(let more)):
            collected = .events(all + more)
            return all.count + more.count <= AgentProtocol.itemsMaximum
        default: return false
        }
        return true
    }

    private func delivered(_ signal: AgentBatch.Signal) -> AgentBatch.Signal {
        switch signal {
        case .samples(var batch, let isUrgent):
            batch.delivery = delivery
            return .samples(batch, isUrgent: isUrgent)
        case .lines(var batch):
            batch.delivery = delivery
            return .lines(batch)
        case .events: return signal
        }
    }
}
