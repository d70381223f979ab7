internal import Telemetry

/// The body of `POST /loki/api/v1/push` in JSON, as Promtail, Fluent Bit, Vector and `curl` send it:
/// `{"streams": [{"stream": {labels}, "values": [["nanoseconds", "line", {metadata}], …]}, …]}`.
package enum LokiPushJSON {
    /// Reads a body, its coding undone. Bytes of lines that are not UTF-8 are kept.
    package static func parse(
        _ body: UnsafeRawBufferPointer, limits: LokiPushLimits = LokiPushLimits()
    ) throws(LokiPushError) -> LokiPush {
        var reader = Reader(scanner: JSONScanner(body), limits: limits)
        do throws(ByteError) {
            try reader.read()
        } catch {
            throw LokiPushError(description: "couldn't parse push request: \(error)")
        }
        return reader.push
    }

    /// Reads a body, its coding undone.
    package static func parse(
        _ body: [UInt8], limits: LokiPushLimits = LokiPushLimits()
    ) throws(LokiPushError) -> LokiPush {
        let result = body.withUnsafeBytes { raw in
            Result { () throws(LokiPushError) in try parse(raw, limits: limits) }
        }
        return try result.get()
    }
}

extension LokiPushJSON {
    /// Walks one body.
    private struct Reader {
        var scanner: JSONScanner
        let limits: LokiPushLimits
        var push = LokiPush(batch: LogBatch(streams: []), rejections: [])
        private var lines = 0
        private var builder = LabelsBuilder()

        init(scanner: JSONScanner, limits: LokiPushLimits) {
            self.scanner = scanner
            self.limits = limits
        }

        mutating func read() throws(ByteError) {
            try scanner.enterObject()
            while let key = try scanner.nextKey() {
                guard key == "streams", try scanner.peek() != .null else {
                    try scanner.skipValue()
                    continue
                }
                try scanner.enterArray()
                while try scanner.nextElement() {
                    guard push.batch.streams.count < limits.streams else {
                        throw error("more than \(limits.streams) streams")
                    }
                    try readStream()
                }
            }
            try scanner.finish()
        }

        /// A stream's labels may stand before or behind its values.
        private mutating func readStream() throws(ByteError) {
            var stream = LogLines(labels: .empty)
            var refused: [String: Int] = [:]
            try scanner.enterObject()
            while let key = try scanner.nextKey() {
                if key == "stream" {
                    stream.labels = try readLabels()
                } else if key == "values", try scanner.peek() != .null {
                    try scanner.enterArray()
                    while try scanner.nextElement() { try readEntry(into: &stream, &refused) }
                } else if key == "labels" || key == "entries" {
                    throw error("the push format of Loki before 0.4 is not supported; send \"stream\" and \"values\"")
                } else {
                    try scanner.skipValue()
                }
            }
            push.take(stream, refused: refused, limits: limits)
        }

        private mutating func readEntry(
            into stream: inout LogLines, _ refused: inout [String: Int]
        ) throws(ByteError) {
            lines += 1
            guard lines <= limits.lines else { throw error("more than \(limits.lines) lines") }
            try scanner.enterArray()
            guard try scanner.nextElement() else { throw error("an entry without a timestamp") }
            let nanoseconds = try readTime()
            guard try scanner.nextElement() else { throw error("an entry without a line") }
            let text = try scanner.string()
            var metadata = Labels.empty
            var goesOn = try scanner.nextElement()
            if goesOn {
                if try !scanner.skipNull() { metadata = try readLabels() }
                goesOn = try scanner.nextElement()
            }
            if goesOn { throw error("an entry of more than three elements") }
            if text.raw.count > limits.lineBytes, text.unescaped.count > limits.lineBytes {
                refused[limits.refusal(ofLine: text.unescaped.count, of: stream.labels), default: 0] += 1
            } else if text.hasEscapes {
                stream.append(nanoseconds: nanoseconds, line: text.unescaped, metadata: metadata)
            } else {
                stream.append(nanoseconds: nanoseconds, line: text.raw, metadata: metadata)
            }
        }

        /// Whole nanoseconds since 1970, in quotes as Loki wants them or without.
        private mutating func readTime() throws(ByteError) -> Int64 {
            if try scanner.peek() == .number { return try scanner.integer() }
            let place = scanner.offset
            guard let nanoseconds = IntegerText.parse(try scanner.string().raw) else {
                throw ByteError(offset: place, reason: "a timestamp that is not whole nanoseconds since 1970")
            }
            return nanoseconds
        }

        /// An object of strings; numbers and booleans are taken as they are written, as careless senders send them.
        private mutating func readLabels() throws(ByteError) -> Labels {
            try scanner.enterObject()
            while let key = try scanner.nextKey() {
                switch try scanner.peek() {
                case .string: builder.add(key.string, try scanner.string().string)
                case .null: _ = try scanner.skipNull()
                case .number, .boolean:
                    builder.add(key.string, String(decoding: try scanner.skipValue(), as: UTF8.self))
                case .object, .array: throw error("label \(QuotedText.quoted(key.string)) is no string")
                }
            }
            return builder.build()
        }

        private func error(_ reason: String) -> ByteError { ByteError(offset: scanner.offset, reason: reason) }
    }
}
