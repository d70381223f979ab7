internal import Query
internal import Telemetry
internal import Wire

/// The JSON of the Loki HTTP API (grafana.com/docs/loki/latest/reference/loki-http-api).
enum LokiAnswer {
    /// The answer of a query. With `isCategorized` (`X-Loki-Response-Encoding-Flags: categorize-labels`) structured
    /// metadata comes beside each line; without, it is among the labels of the line's stream.
    static func query(
        _ value: QueryValue, isCategorized: Bool, direction: LogDirection, context: QueryContext, nanoseconds: Int64
    ) -> PiecewiseAnswer {
        guard case .streams(let given) = value else {
            return wrap(PrometheusAnswer.query(value, context: context, statistics: nil), value, context, nanoseconds)
        }
        let streams = isCategorized ? categorized(given, direction) : given
        let lines = streams.reduce(0) { $0 + $1.lines.count }
        return PiecewiseAnswer(
            estimatedBytes: streams.reduce(0) { sum, stream in
                sum + stream.labels.encoded.count * 2 + stream.lines.reduce(64) { $0 + $1.text.count + 40 }
            },
            elementCount: streams.count,
            open: { openStreams(isCategorized: isCategorized, &$0) },
            element: { writer, index in write(streams[index], isCategorized: isCategorized, &writer) },
            close: { closeStreams(context, lines: lines, nanoseconds: nanoseconds, &$0) })
    }

    /// Begins an answer of lines: what comes next are its streams.
    static func openStreams(isCategorized: Bool, _ writer: inout JSONWriter) {
        open(&writer, type: "streams")
        if isCategorized {
            writer.key("encodingFlags")
            writer.beginArray()
            writer.string("categorize-labels")
            writer.endArray()
        }
        writer.key("result")
        writer.beginArray()
    }

    /// Ends an answer of lines.
    static func closeStreams(
        _ context: QueryContext, lines: Int, nanoseconds: Int64, _ writer: inout JSONWriter
    ) {
        writer.endArray()
        close(&writer, context, lines: lines, nanoseconds: nanoseconds)
    }

    private static func wrap(
        _ inner: PiecewiseAnswer, _ value: QueryValue, _ context: QueryContext, _ nanoseconds: Int64
    ) -> PiecewiseAnswer {
        var answer = inner
        let isList =
            switch value {
            case .scalar, .string: false
            case .vector, .matrix, .streams: true
            }
        answer.open = { writer in
            open(&writer, type: value.typeName)
            writer.key("result")
            if isList { writer.beginArray() }
        }
        answer.close = { writer in
            if isList { writer.endArray() }
            close(&writer, context, lines: inner.elementCount, nanoseconds: nanoseconds)
        }
        return answer
    }

    private static func open(_ writer: inout JSONWriter, type: String) {
        writer.beginObject()
        writer.member("status", "success")
        writer.key("data")
        writer.beginObject()
        writer.member("resultType", type)
    }

    /// 0 where the time was too short to be told.
    private static func perSecond(_ count: Int, _ nanoseconds: Int64) -> Int64 {
        Int64(exactly: (Double(count) * 1e9 / Double(nanoseconds)).rounded()) ?? 0
    }

    private static func close(
        _ writer: inout JSONWriter, _ context: QueryContext, lines: Int, nanoseconds: Int64
    ) {
        let statistics = context.statistics
        writer.key("stats")
        writer.beginObject()
        writer.key("summary")
        writer.beginObject()
        writer.member("bytesProcessedPerSecond", perSecond(statistics.bytesRead, nanoseconds))
        writer.member("linesProcessedPerSecond", perSecond(statistics.linesScanned, nanoseconds))
        writer.member("totalBytesProcessed", statistics.bytesRead)
        writer.member("totalLinesProcessed", statistics.linesScanned)
        writer.key("execTime")
        writer.number(Double(nanoseconds) / 1e9)
        writer.member("queueTime", 0)
        writer.member("subqueries", 0)
        writer.member("totalEntriesReturned", lines)
        writer.endObject()
        writer.key("vedette")
        writer.beginObject()
        writer.member("streamsSelected", statistics.streamsSelected)
        writer.member("linesMatched", statistics.linesMatched)
        writer.member("blocksRead", statistics.blocksRead)
        writer.member("blocksSkipped", statistics.blocksSkipped)
        writer.endObject()
        writer.endObject()
        writer.endObject()
        PrometheusAnswer.remarks(of: context, &writer)
        writer.endObject()
    }

    /// Writes one stream.
    static func write(_ stream: StreamLines, isCategorized: Bool, _ writer: inout JSONWriter) {
        writer.beginObject()
        writer.key("stream")
        writer.labels(stream.labels)
        writer.key("values")
        writer.beginArray()
        for line in stream.lines {
            LokiLineWriter.value(
                line.nanoseconds, line.text,
                categories: isCategorized ? (line.metadata, line.parsed, stream.labels) : nil, &writer)
        }
        writer.endArray()
        writer.endObject()
    }

    /// Streams by their own labels alone: structured metadata and what stages took from the lines stand beside each
    /// line. In the order of first lines.
    static func categorized(_ streams: [StreamLines], _ direction: LogDirection) -> [StreamLines] {
        var result: [StreamLines] = []
        var places: [Labels: Int] = [:]
        for stream in streams {
            for line in stream.lines {
                let labels = line.own
                if let place = places[labels] {
                    result[place].lines.append(line)
                } else {
                    places[labels] = result.count
                    result.append(StreamLines(labels: labels, lines: [line]))
                }
            }
        }
        return result.map { stream in
            // Lines of several streams have come together; those of one time keep their order.
            let order = stream.lines.indices.sorted { left, right in
                let (a, b) = (stream.lines[left].nanoseconds, stream.lines[right].nanoseconds)
                return a == b ? left < right : (direction == .forward ? a < b : a > b)
            }
            return StreamLines(labels: stream.labels, lines: order.map { stream.lines[$0] })
        }
    }
}
