package import Telemetry

/// A remote-write request: what can be stored, and which series cannot.
package struct RemoteWriteRequest: Sendable {
    package var batch: SampleBatch
    package var rejections: [SampleRejection]
    /// For `SeriesMemory.learn`, of the batch's one group.
    package var places: SeriesMemory.Places
}

/// Reads `prometheus.WriteRequest` (remote write 1.0, prompb/remote.proto and prompb/types.proto of Prometheus), its
/// Snappy coding undone, without copying anything but the samples and the labels of series not seen before.
///
/// All samples come out as one group without a target: the store groups them by `job` and `instance`.
package struct RemoteWriteReader {
    private var group = SampleGroup()
    private var metadata: [MetricMetadata] = []
    /// Canonical labels of the series that is being read.
    private var labels: LabelRun
    private var builder = LabelsBuilder()
    private var rejections: [SampleRejection] = []
    /// The number of the series that is being read.
    private var seriesIndex: UInt32 = 0

    private init(labels: LabelRun) {
        self.labels = labels
    }

    /// Reads one request. Throws when the bytes are no request; nothing of it is to be stored then.
    package static func read(
        _ body: UnsafeRawBufferPointer, memory: SeriesMemory
    ) throws(RemoteWriteError) -> RemoteWriteRequest {
        // Labels take fewer bytes as canonical text than in the request, so the run never grows.
        var outcome = Result<RemoteWriteRequest, RemoteWriteError>.failure(RemoteWriteError(description: ""))
        withUnsafeTemporaryAllocation(byteCount: body.count, alignment: 1) { space in
            do throws(ByteError) {
                outcome = .success(
                    try memory.resolving { series throws(ByteError) in
                        var reader = RemoteWriteReader(labels: LabelRun(space))
                        try reader.readRequest(body, &series)
                        return reader.finish(series)
                    })
            } catch {
                outcome = .failure(RemoteWriteError(description: "no remote-write request: \(error)"))
            }
        }
        return try outcome.get()
    }

    /// Reads one request.
    package static func read(
        _ body: [UInt8], memory: SeriesMemory
    ) throws(RemoteWriteError) -> RemoteWriteRequest {
        let result = body.withUnsafeBytes { raw in
            Result { () throws(RemoteWriteError) in try read(raw, memory: memory) }
        }
        return try result.get()
    }

    /// What a series with one sample takes in a request, about; only a guess at how many there are.
    private static let seriesBytes = 128

    private mutating func readRequest(
        _ body: UnsafeRawBufferPointer, _ series: inout SeriesMemory.Resolution
    ) throws(ByteError) {
        let guess = body.count / Self.seriesBytes
        series.reserve(guess)
        group.seriesIndexes.reserveCapacity(guess)
        group.timesMilliseconds.reserveCapacity(guess)
        group.values.reserveCapacity(guess)
        var message = ProtobufReader(body)
        while let (number, type) = try message.next() {
            switch number {
            case 1: try readSeries(try message.bytes(type), &series)
            case 3: try readMetadata(try message.bytes(type))
            default: try message.skip(type)
            }
        }
    }

    private mutating func finish(_ series: SeriesMemory.Resolution) -> RemoteWriteRequest {
        group.series = series.references
        let isEmpty = group.values.isEmpty && group.histograms.isEmpty && group.exemplars.isEmpty
        return RemoteWriteRequest(
            batch: SampleBatch(groups: isEmpty ? [] : [group], metadata: metadata), rejections: rejections,
            places: series.places)
    }

    // MARK: Series

    private mutating func readSeries(
        _ bytes: UnsafeRawBufferPointer, _ series: inout SeriesMemory.Resolution
    ) throws(ByteError) {
        seriesIndex = UInt32(series.references.count)
        let known = series.foresee(bytes)
        guard known > 0 else { return try readUnforeseen(bytes, &series) }
        let values = UnsafeRawBufferPointer(rebasing: bytes[known...])
        if !readOnlySample(values) {
            guard try !RemoteWriteReader.hasLabel(values) else { return try readUnforeseen(bytes, &series) }
            try readValues(values)
        }
        series.takeForeseen()
    }

    /// Whether a label stands behind the first samples, which is allowed and done by nobody.
    private static func hasLabel(_ bytes: UnsafeRawBufferPointer) throws(ByteError) -> Bool {
        var message = ProtobufReader(bytes)
        while let (number, type) = try message.next() {
            if number == 1 { return true }
            try message.skip(type)
        }
        return false
    }

    /// Everything of a series but its labels.
    private mutating func readValues(_ bytes: UnsafeRawBufferPointer) throws(ByteError) {
        var message = ProtobufReader(bytes)
        while let (number, type) = try message.next() {
            switch number {
            case 2: try readSample(try message.bytes(type))
            case 3: try readExemplar(try message.bytes(type))
            case 4: try readHistogram(try message.bytes(type))
            default: try message.skip(type)
            }
        }
    }

    private mutating func readUnforeseen(
        _ bytes: UnsafeRawBufferPointer, _ series: inout SeriesMemory.Resolution
    ) throws(ByteError) {
        let before = extent
        labels.truncate(to: 0)
        var previousName = UnsafeRawBufferPointer(start: nil, count: 0)
        var isOrdered = true
        var message = ProtobufReader(bytes)
        while let (number, type) = try message.next() {
            switch number {
            case 1:
                let (name, value) = try RemoteWriteReader.label(try message.bytes(type))
                if !LabelRun.precedes(previousName, name) { isOrdered = false }
                previousName = name
                if !value.isEmpty { labels.append(name, value) }
            case 2: try readSample(try message.bytes(type))
            case 3: try readExemplar(try message.bytes(type))
            case 4: try readHistogram(try message.bytes(type))
            default: try message.skip(type)
            }
        }
        if !isOrdered, let refusedLabels = try reorder(bytes) {
            refuse(refusedLabels, since: before)
        } else if labels.count == 0 || !series.take(labels.bytes) {
            refuse(.empty, since: before)
        }
    }

    /// Writes the labels of a series again, in the order of names that senders should have kept. Returns the labels,
    /// and takes them back, when a name is there twice.
    private mutating func reorder(_ series: UnsafeRawBufferPointer) throws(ByteError) -> Labels? {
        var names: Set<[UInt8]> = []
        var isRepeated = false
        var message = ProtobufReader(series)
        while let (number, type) = try message.next() {
            guard number == 1 else {
                try message.skip(type)
                continue
            }
            let (name, value) = try RemoteWriteReader.label(try message.bytes(type))
            if !names.insert(Array(name)).inserted { isRepeated = true }
            builder.add(name, value)
        }
        labels.truncate(to: 0)
        let ordered = builder.build()
        if isRepeated { return ordered }
        labels.append(ordered)
        return nil
    }

    /// How much a group holds.
    private struct Extent {
        var samples: Int
        var histograms: Int
        var exemplars: Int
    }

    private var extent: Extent {
        Extent(samples: group.values.count, histograms: group.histograms.count, exemplars: group.exemplars.count)
    }

    /// Takes back what was read of a series whose labels cannot be right.
    private mutating func refuse(_ labels: Labels, since before: Extent) {
        let time =
            before.samples < group.values.count
            ? group.timesMilliseconds[before.samples]
            : group.histograms.dropFirst(before.histograms).first?.milliseconds
        let count = group.values.count - before.samples + group.histograms.count - before.histograms
        rejections.append(
            SampleRejection(labels: labels, milliseconds: time ?? 0, reason: .invalidLabels, count: count))
        group.seriesIndexes.removeLast(group.values.count - before.samples)
        group.timesMilliseconds.removeLast(group.values.count - before.samples)
        group.values.removeLast(group.values.count - before.samples)
        group.histograms.removeLast(group.histograms.count - before.histograms)
        group.exemplars.removeLast(group.exemplars.count - before.exemplars)
    }

    /// The name and value of a `Label`.
    @inline(__always)
    private static func label(
        _ bytes: UnsafeRawBufferPointer
    ) throws(ByteError) -> (name: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer) {
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
        return (name, value)
    }

    // MARK: Values

    /// Reads what nearly every series has behind its labels, one sample as every sender writes it; false, with nothing
    /// read, when it is anything else.
    @inline(__always)
    private mutating func readOnlySample(_ bytes: UnsafeRawBufferPointer) -> Bool {
        // Tag and length of the sample, tag and eight bytes of the value, tag of the time.
        let head = 12
        guard bytes.count > head, bytes.count <= head + 10, bytes[0] == 0x12, Int(bytes[1]) == bytes.count - 2,
            bytes[2] == 0x09, bytes[11] == 0x10
        else { return false }
        var time: UInt64 = 0
        var place = head
        var shift: UInt64 = 0
        while place < bytes.count, shift < 63 {
            let byte = bytes[place]
            time |= UInt64(byte & 0x7f) << shift
            place += 1
            shift += 7
            if byte < 0x80 { break }
        }
        guard place == bytes.count, bytes[place - 1] < 0x80 else { return false }
        let value = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: 3, as: UInt64.self))
        group.seriesIndexes.append(seriesIndex)
        group.timesMilliseconds.append(Int64(bitPattern: time))
        group.values.append(Double(bitPattern: value))
        return true
    }

    private mutating func readSample(_ bytes: UnsafeRawBufferPointer) throws(ByteError) {
        var value = 0.0
        var time: Int64 = 0
        var message = ProtobufReader(bytes)
        while let (number, type) = try message.next() {
            switch number {
            case 1: value = try message.double(type)
            case 2: time = Int64(bitPattern: try message.integer(type))
            default: try message.skip(type)
            }
        }
        group.seriesIndexes.append(seriesIndex)
        group.timesMilliseconds.append(time)
        group.values.append(value)
    }

    private mutating func readExemplar(_ bytes: UnsafeRawBufferPointer) throws(ByteError) {
        var exemplar = ExemplarSample(seriesIndex: seriesIndex, milliseconds: 0, value: 0, labels: .empty)
        var message = ProtobufReader(bytes)
        while let (number, type) = try message.next() {
            switch number {
            case 1:
                let (name, value) = try RemoteWriteReader.label(try message.bytes(type))
                builder.add(name, value)
            case 2: exemplar.value = try message.double(type)
            case 3: exemplar.milliseconds = Int64(bitPattern: try message.integer(type))
            default: try message.skip(type)
            }
        }
        // Text that is none must not reach a store; the sample it belongs to is worth keeping all the same.
        guard let labels = Labels(validating: builder.build().encoded) else { return }
        exemplar.labels = labels
        group.exemplars.append(exemplar)
    }

    private mutating func readHistogram(_ bytes: UnsafeRawBufferPointer) throws(ByteError) {
        let (histogram, time) = try RemoteWriteHistogram.read(bytes)
        group.histograms.append(
            HistogramSample(seriesIndex: seriesIndex, milliseconds: time, histogram: histogram))
    }

    private static let kinds: [MetricKind] = [
        .unknown, .counter, .gauge, .histogram, .gaugeHistogram, .summary, .info, .stateset,
    ]

    private mutating func readMetadata(_ bytes: UnsafeRawBufferPointer) throws(ByteError) {
        var found = MetricMetadata(metricName: "", kind: .unknown)
        var message = ProtobufReader(bytes)
        while let (number, type) = try message.next() {
            switch number {
            case 1:
                let kind = try message.integer(type)
                if kind < UInt64(RemoteWriteReader.kinds.count) { found.kind = RemoteWriteReader.kinds[Int(kind)] }
            case 2: found.metricName = String(decoding: try message.bytes(type), as: UTF8.self)
            case 4: found.help = String(decoding: try message.bytes(type), as: UTF8.self)
            case 5: found.unit = String(decoding: try message.bytes(type), as: UTF8.self)
            default: try message.skip(type)
            }
        }
        if !found.metricName.isEmpty { metadata.append(found) }
    }
}
