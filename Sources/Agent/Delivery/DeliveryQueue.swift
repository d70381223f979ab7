internal import Telemetry

/// The three queues of a spool. They differ in urgency and in what is given up first when the disk is short.
enum DeliveryQueue: Int, Sendable, CaseIterable {
    /// Events and the samples that belong to them: never waits behind anything, given up last.
    case events
    case samples
    /// Log lines: given up first, and what is given up is told.
    case lines

    /// The folder of its log within the spool.
    var folder: String {
        switch self {
        case .events: "events"
        case .samples: "samples"
        case .lines: "lines"
        }
    }

    /// The first id its label sets get. All queues share one epoch, in which an id stands for one label set for ever;
    /// the ranges are so far apart that they never meet.
    var firstLabelID: UInt64 {
        switch self {
        case .samples: 1
        case .lines: 1 << 40
        case .events: 1 << 41
        }
    }

    /// The size of a segment: what is given up at once.
    var segmentBytes: UInt64 { self == .events ? 1 << 20 : 8 << 20 }
}
