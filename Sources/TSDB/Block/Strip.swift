internal import Synchronization
internal import Telemetry

/// The header of a strip as it is used: times, and where each column is.
final class Strip: Sendable {
    let times: [Int64]
    /// Ordered by series; a series with floats and histograms has two.
    let entries: [StripEntry]
    /// The first series, where each of those behind it has one entry, as in most strips; nil where not.
    private let denseFirst: UInt32?
    /// By entry: whether another is a difference to it.
    let isReferredTo: [Bool]
    /// By entry: columns that were decoded and are kept as long as the strip is; empty while there are none.
    private let residents = Mutex<[ResidentColumn?]>([])

    /// A strip of parts that were checked.
    init(times: [Int64], entries: [StripEntry]) {
        (self.times, self.entries) = (times, entries)
        isReferredTo = Self.referred(entries)
        denseFirst = Self.denseFirst(of: entries)
    }

    /// Parses the payload of a header page, from a padded buffer.
    init(parsing payload: UnsafeRawBufferPointer, location: StripLocation) throws(ByteError) {
        var reader = ByteReader(payload)
        let rowCount = try reader.count(upTo: BlockFormat.stripRowsMaximum, "rows")
        guard rowCount > 0 else { throw ByteError(offset: 0, reason: "strip without rows") }
        let times = try IntegerColumn.decode(count: rowCount, from: &reader)
        for index in times.indices.dropFirst() where times[index] <= times[index - 1] {
            throw ByteError(offset: 0, reason: "times of the strip do not rise at row \(index)")
        }
        guard location.times == TimeRange(startMilliseconds: times[0], endMilliseconds: times[rowCount - 1]) else {
            throw ByteError(offset: 0, reason: "times of the strip are not those of the index")
        }
        let columnCount = try reader.count(upTo: 2 * BlockFormat.stripColumnsMaximum, "columns")
        var entries: [StripEntry] = []
        entries.reserveCapacity(columnCount)
        var bodyOffset = 0
        for _ in 0..<columnCount {
            let entry = try StripEntry(
                behind: entries, of: location, stripRowCount: rowCount, bodyOffset: bodyOffset, from: &reader)
            bodyOffset += entry.bodyByteCount
            guard bodyOffset <= location.streamByteCount, entry.ordinal <= location.ordinals.upperBound else {
                throw ByteError(offset: reader.offset, reason: "column \(entries.count) lies outside its strip")
            }
            entries.append(entry)
        }
        guard reader.isAtEnd, bodyOffset == location.streamByteCount else {
            throw ByteError(offset: reader.offset, reason: "strip header does not end where it should")
        }
        self.times = times
        self.entries = entries
        isReferredTo = Self.referred(entries)
        denseFirst = Self.denseFirst(of: entries)
    }

    private static func denseFirst(of entries: [StripEntry]) -> UInt32? {
        guard let first = entries.first?.ordinal else { return nil }
        let isDense = entries.indices.allSatisfy { entries[$0].ordinal == first + UInt32($0) }
        return isDense ? first : nil
    }

    private static func referred(_ entries: [StripEntry]) -> [Bool] {
        var isReferredTo = [Bool](repeating: false, count: entries.count)
        for (index, entry) in entries.enumerated() {
            guard case .floats(let column) = entry.values, column.referenceDistance > 0 else { continue }
            isReferredTo[index - column.referenceDistance] = true
        }
        return isReferredTo
    }

    /// The places of a series' columns: none, its floats, its histograms, or both.
    func entries(of ordinal: UInt32) -> Range<Int> {
        if let denseFirst {
            let place = Int(ordinal) - Int(denseFirst)
            return place >= 0 && place < entries.count ? place..<place + 1 : 0..<0
        }
        var low = 0
        var high = entries.count
        while low < high {
            let middle = (low + high) / 2
            if entries[middle].ordinal < ordinal { low = middle + 1 } else { high = middle }
        }
        var end = low
        while end < entries.count, entries[end].ordinal == ordinal { end += 1 }
        return low..<end
    }

    /// Whether an entry is one of numbers and nothing else. Its fields are read in place: copying an entry costs more.
    func isPlain(_ index: Int) -> Bool {
        !entries[index].isHistogram && !entries[index].hasStarts && entries[index].shape.stale == nil
    }

    /// What is kept of a column.
    func resident(_ index: Int) -> ResidentColumn? {
        residents.withLock { $0.isEmpty ? nil : $0[index] }
    }

    /// Keeps a column.
    func keep(_ column: ResidentColumn, _ index: Int) {
        residents.withLock { residents in
            if residents.isEmpty { residents = [ResidentColumn?](repeating: nil, count: entries.count) }
            residents[index] = column
        }
    }

    /// An estimate of the memory held, columns that are kept aside.
    var memoryBytes: Int { times.count * 8 + entries.count * (MemoryLayout<StripEntry>.stride + 1) }
}
