package import Telemetry

/// Writes Prometheus' text format 0.0.4, what `/metrics` answers.
///
/// Call `family` once per metric name and `sample` for each of its series; samples of one family must stand together.
package struct ExpositionWriter: Sendable {
    /// The Content-Type of what is written.
    package static let contentType = "text/plain; version=0.0.4; charset=utf-8"

    /// What was written so far.
    package private(set) var bytes: [UInt8] = []

    /// Nothing written yet.
    package init() {}

    /// Writes HELP and TYPE of `name`; an empty help is left out.
    package mutating func family(_ name: String, _ kind: MetricKind, help: String) {
        if !help.isEmpty {
            put("# HELP \(name) ")
            for byte in help.utf8 {
                switch byte {
                case UInt8(ascii: "\\"): put("\\\\")
                case 0x0a: put("\\n")
                default: bytes.append(byte)
                }
            }
            bytes.append(0x0a)
        }
        put("# TYPE \(name) \(ExpositionWriter.typeWord(kind))\n")
    }

    /// Writes one sample; `labels` may hold `__name__`, which is passed over. Without a time, the reader uses its own.
    package mutating func sample(_ name: String, _ labels: Labels = .empty, _ value: Double, milliseconds: Int64? = nil)
    {
        put(name)
        var separator = UInt8(ascii: "{")
        labels.forEachPair { key, text in
            if key.elementsEqual(Labels.metricNameLabel.utf8) { return }
            bytes.append(separator)
            bytes.append(contentsOf: key)
            bytes.append(contentsOf: [UInt8(ascii: "="), UInt8(ascii: "\"")])
            escape(text)
            bytes.append(UInt8(ascii: "\""))
            separator = UInt8(ascii: ",")
        }
        if separator == UInt8(ascii: ",") { bytes.append(UInt8(ascii: "}")) }
        bytes.append(0x20)
        FloatText.appendGeneral(value, to: &bytes)
        if let milliseconds { put(" \(milliseconds)") }
        bytes.append(0x0a)
    }

    /// Writes what stores tell about themselves, families together and in the order of their names.
    package mutating func write(_ metrics: [StoreMetric]) {
        let families = Dictionary(grouping: metrics, by: \.name)
        for (name, members) in families.sorted(by: { $0.key < $1.key }) {
            guard let first = members.first else { continue }
            family(name, first.kind, help: first.help)
            for member in members.sorted(by: { $0.labels < $1.labels }) { sample(name, member.labels, member.value) }
        }
    }

    private mutating func put(_ text: String) { bytes.append(contentsOf: text.utf8) }

    private mutating func escape(_ text: UnsafeRawBufferPointer) {
        for byte in text {
            switch byte {
            case UInt8(ascii: "\\"): put("\\\\")
            case UInt8(ascii: "\""): put("\\\"")
            case 0x0a: put("\\n")
            default: bytes.append(byte)
            }
        }
    }

    /// The format knows five types; the others of OpenMetrics are written as what they look like here.
    private static func typeWord(_ kind: MetricKind) -> String {
        switch kind {
        case .counter, .gauge, .histogram, .summary: kind.rawValue
        case .info, .stateset: "gauge"
        case .gaugeHistogram, .unknown: "untyped"
        }
    }
}
