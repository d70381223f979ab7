internal import Query
internal import Telemetry
internal import Wire

/// How long a query waited and ran, and what it did meanwhile.
struct QueryTimes: Sendable {
    var queueNanoseconds: Int64
    var evaluationNanoseconds: Int64
    /// How it was evaluated.
    var profile: QueryProfile
    /// Whether the answer tells the samples of each time and the plan, as `stats=all` asks.
    var tellsAll: Bool
}

/// `stats` of an answer: Prometheus' shape, and under `vedette` what only this engine knows.
enum QueryStatisticsAnswer {
    static func write(_ times: QueryTimes, _ context: QueryContext, _ writer: inout JSONWriter) {
        writer.key("stats")
        writer.beginObject()
        writeTimings(times, &writer)
        writeSamples(times, context, &writer)
        writer.key("vedette")
        writer.beginObject()
        let statistics = context.statistics
        writer.member("seriesSelected", statistics.seriesSelected)
        writer.member("samplesDecoded", statistics.samplesDecoded)
        writer.member("chunksDecoded", statistics.chunksDecoded)
        writer.member("chunksSkipped", statistics.chunksSkipped)
        writer.member("blocksRead", statistics.blocksRead)
        writer.member("blocksSkipped", statistics.blocksSkipped)
        if statistics.skipped != SkippedBlocks() { writer.members("skipped", statistics.skipped) }
        writer.member("bytesRead", statistics.bytesRead)
        writer.member("bytesPeak", context.bytesPeak)
        if times.tellsAll { writePlan(times.profile.steps, &writer) }
        writer.endObject()
        writer.endObject()
    }

    private static func writeTimings(_ times: QueryTimes, _ writer: inout JSONWriter) {
        let (preparation, result) = (times.profile.preparationNanoseconds, times.profile.resultNanoseconds)
        writer.key("timings")
        writer.beginObject()
        for (name, nanoseconds) in [
            ("evalTotalTime", times.evaluationNanoseconds),
            ("resultSortTime", result),
            ("queryPreparationTime", preparation),
            ("innerEvalTime", max(0, times.evaluationNanoseconds - preparation - result)),
            ("execQueueTime", times.queueNanoseconds),
            ("execTotalTime", times.evaluationNanoseconds + times.queueNanoseconds),
        ] {
            writer.key(name)
            writer.number(Double(nanoseconds) / 1e9)
        }
        writer.endObject()
    }

    private static func writeSamples(_ times: QueryTimes, _ context: QueryContext, _ writer: inout JSONWriter) {
        let byTime = times.profile.samplesByTime
        writer.key("samples")
        writer.beginObject()
        if times.tellsAll {
            writer.key("totalQueryableSamplesPerStep")
            writer.beginArray()
            for (milliseconds, count) in byTime {
                writer.beginArray()
                writer.sampleTime(milliseconds: milliseconds)
                writer.integer(count)
                writer.endArray()
            }
            writer.endArray()
        }
        writer.member("totalQueryableSamples", byTime.reduce(0) { $0 + $1.count })
        writer.member("peakSamples", context.samplesPeak)
        writer.endObject()
    }

    private static func writePlan(_ steps: [QueryProfile.Step], _ writer: inout JSONWriter) {
        writer.key("plan")
        writer.beginArray()
        for step in steps {
            writer.beginObject()
            writer.member("depth", step.depth)
            writer.member("step", step.text)
            writer.member("series", step.series)
            if step.isStreamed {
                // Computed series by series for the step above; its time is part of that step's.
                writer.member("streamed", true)
            } else {
                writer.key("seconds")
                writer.number(Double(step.nanoseconds) / 1e9)
                writer.member("samplesDecoded", step.samplesDecoded)
                writer.member("chunksDecoded", step.chunksDecoded)
                writer.member("chunksSkipped", step.chunksSkipped)
            }
            writer.endObject()
        }
        writer.endArray()
    }
}

extension JSONWriter {
    /// Blocks of lines of which none had to be looked at, by the kind of filter that told so.
    mutating func members(_ name: String, _ skipped: SkippedBlocks) {
        key(name)
        beginObject()
        for (kind, blocks) in skipped.members where blocks > 0 { member(kind, blocks) }
        endObject()
    }
}
