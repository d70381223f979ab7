package import Telemetry

/// Why a push was not taken, in Loki's words where it has some. The status is 400.
package struct LokiPushError: Error, Equatable, CustomStringConvertible {
    package let description: String
}

/// A push: what can be stored, and which streams or lines cannot, with Loki's reason. The rest is stored all the same.
package struct LokiPush: Sendable {
    package var batch: LogBatch
    package var rejections: [LogRejection]

    /// Takes a stream that was read, and the reasons for which lines of it were left out.
    mutating func take(_ stream: LogLines, refused: [String: Int], limits: LokiPushLimits) {
        if let reason = limits.refusal(of: stream.labels) {
            rejections.append(LogRejection(labels: stream.labels, lines: stream.count, reason: reason))
        } else if stream.count > 0 {
            batch.streams.append(stream)
        }
        for (reason, lines) in refused.sorted(by: { $0.key < $1.key }) {
            rejections.append(LogRejection(labels: stream.labels, lines: lines, reason: reason))
        }
    }
}

/// What one push may hold.
package struct LokiPushLimits: Sendable {
    package var streams = 100_000
    package var lines = 1 << 20
    /// As much as a whole body: where Loki drops a line over its `max_line_size`, the store keeps its beginning and
    /// says how long it was.
    package var lineBytes = 32 << 20
    /// Loki's `max_label_names_per_series`, raised: container labels are many.
    package var labelNames = 64
    package var labelNameBytes = 1024
    package var labelValueBytes = 2048

    /// Loki's defaults, except where noted.
    package init() {}

    /// Why a stream of these labels is refused, in the words of Loki's validation; nil when it is not.
    func refusal(of labels: Labels) -> String? {
        let pairs = labels.pairs
        if pairs.isEmpty { return "error at least one label pair is required per stream" }
        if pairs.count > labelNames {
            return "entry for stream '\(labels)' has \(pairs.count) label names; limit \(labelNames)"
        }
        for (name, value) in pairs {
            if !LabelName.isValid(name) {
                return "error parsing labels '\(labels)': invalid label name \(QuotedText.quoted(name))"
            }
            if name.utf8.count > labelNameBytes {
                return "stream '\(labels)' has label name too long: '\(name)'"
            }
            if value.utf8.count > labelValueBytes {
                return "stream '\(labels)' has label value too long: '\(value)'"
            }
        }
        return nil
    }

    /// Why a line of `bytes` bytes is refused.
    func refusal(ofLine bytes: Int, of labels: Labels) -> String {
        "max entry size '\(lineBytes)' bytes exceeded for stream '\(labels)' "
            + "while adding an entry with length '\(bytes)' bytes"
    }
}
