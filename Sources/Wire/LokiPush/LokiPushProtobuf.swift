internal import Telemetry

/// The body of `POST /loki/api/v1/push` in protobuf (`logproto.PushRequest` of Loki's pkg/push/push.proto), its Snappy
/// coding undone, as Promtail, Grafana Alloy and Fluent Bit send it.
package enum LokiPushProtobuf {
    /// Reads a body. Bytes of lines that are not UTF-8 are kept.
    package static func parse(
        _ body: UnsafeRawBufferPointer, limits: LokiPushLimits = LokiPushLimits()
    ) throws(LokiPushError) -> LokiPush {
        var reader = Reader(limits: limits)
        do throws(ByteError) {
            var message = ProtobufReader(body)
            while let (number, type) = try message.next() {
                if number == 1 { try reader.readStream(try message.bytes(type)) } else { try message.skip(type) }
            }
        } catch {
            throw LokiPushError(description: "couldn't parse push request: \(error)")
        }
        return reader.push
    }

    /// Reads a body.
    package static func parse(
        _ body: [UInt8], limits: LokiPushLimits = LokiPushLimits()
    ) throws(LokiPushError) -> LokiPush {
        let result = body.withUnsafeBytes { raw in
            Result { () throws(LokiPushError) in try parse(raw, limits: limits) }
        }
        return try result.get()
    }
}

extension LokiPushProtobuf {
    /// Collects the streams of one body.
    private struct Reader {
        let limits: LokiPushLimits
        var push = LokiPush(batch: LogBatch(streams: []), rejections: [])
        private var lines = 0
        private var builder = LabelsBuilder()

        init(limits: LokiPushLimits) {
            self.limits = limits
        }

        /// `labels` (1) is text such as `{job="a"}`; each entry (2) is a line.
        mutating func readStream(_ bytes: UnsafeRawBufferPointer) throws(ByteError) {
            guard push.batch.streams.count < limits.streams else {
                throw ByteError(offset: 0, reason: "more than \(limits.streams) streams")
            }
            var stream = LogLines(labels: .empty)
            // All but a few bytes of each entry are its line.
            stream.bytes.reserveCapacity(bytes.count)
            var refused: [String: Int] = [:]
            var message = ProtobufReader(bytes)
            while let (number, type) = try message.next() {
                switch number {
                case 1: stream.labels = try LokiLabelsText.parse(try message.bytes(type))
                case 2: try readEntry(try message.bytes(type), into: &stream, &refused)
                default: try message.skip(type)
                }
            }
            push.take(stream, refused: refused, limits: limits)
        }

        private mutating func readEntry(
            _ bytes: UnsafeRawBufferPointer, into stream: inout LogLines, _ refused: inout [String: Int]
        ) throws(ByteError) {
            lines += 1
            guard lines <= limits.lines else { throw ByteError(offset: 0, reason: "more than \(limits.lines) lines") }
            var time: Int64 = 0
            var line = UnsafeRawBufferPointer(start: nil, count: 0)
            var message = ProtobufReader(bytes)
            while let (number, type) = try message.next() {
                switch number {
                case 1: time = try Reader.time(try message.bytes(type))
                case 2: line = try message.bytes(type)
                case 3: try readMetadata(try message.bytes(type))
                default: try message.skip(type)
                }
            }
            let metadata = builder.build()
            if line.count > limits.lineBytes {
                refused[limits.refusal(ofLine: line.count, of: stream.labels), default: 0] += 1
            } else {
                stream.append(nanoseconds: time, line: line, metadata: metadata)
            }
        }

        /// `google.protobuf.Timestamp`.
        private static func time(_ bytes: UnsafeRawBufferPointer) throws(ByteError) -> Int64 {
            var seconds: Int64 = 0
            var nanoseconds: Int64 = 0
            var message = ProtobufReader(bytes)
            while let (number, type) = try message.next() {
                switch number {
                case 1: seconds = Int64(bitPattern: try message.integer(type))
                case 2: nanoseconds = Int64(bitPattern: try message.integer(type))
                default: try message.skip(type)
                }
            }
            let (whole, isTooLarge) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
            let (sum, isTooLargeTogether) = whole.addingReportingOverflow(nanoseconds)
            guard !isTooLarge, !isTooLargeTogether else {
                throw ByteError(offset: 0, reason: "a timestamp of \(seconds) seconds")
            }
            return sum
        }

        /// `LabelPairAdapter`.
        private mutating func readMetadata(_ bytes: UnsafeRawBufferPointer) throws(ByteError) {
            var name = UnsafeRawBufferPointer(start: nil, count: 0)
            var value = name
            var message = ProtobufReader(bytes)
            while let (number, type) = try message.next() {
                switch number {
                case 1: name = try message.bytes(type)
                case 2: value = try message.bytes(type)
                default: try message.skip(type)
                }
            }
            guard UTF8Text.isValid(name), UTF8Text.isValid(value) else {
                throw ByteError(offset: 0, reason: "structured metadata that is not UTF-8")
            }
            builder.add(name, value)
        }
    }
}
