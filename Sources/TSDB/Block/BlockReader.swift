internal import Disk
internal import Synchronization
internal import Telemetry

/// Reads one block through an `ObjectReader`: the footer when it is opened, the index when it is first needed, pages as
/// queries ask for them. Every byte used was covered by a checksum before.
final class BlockReader: Sendable {
    let footer: BlockFooter
    let path: String
    let byteCount: UInt64
    private let file: any ObjectReader
    private let seed: UInt32
    private let cache: PageCache
    /// Never given to another reader of this process.
    let number: UInt64
    private let loaded = Mutex<BlockIndex?>(nil)
    /// For the index cache: a rising time of the last use.
    let lastIndexUse = Atomic<UInt64>(0)

    private static let numbers = Atomic<UInt64>(0)
    private static let uses = Atomic<UInt64>(0)

    /// What opening a file found out about it.
    enum OpenError: Error {
        case damaged(BlockDamage)
        /// Whole, but of a format that this binary does not know.
        case newer(version: UInt8)
        case storage(StorageError)
    }

    /// Opens a block; reads its header and its footer only.
    init(_ file: any ObjectReader, cache: PageCache) throws(OpenError) {
        self.file = file
        self.cache = cache
        path = file.path
        number = Self.numbers.add(1, ordering: .relaxed).newValue
        do {
            byteCount = try file.size()
            (seed, footer) = try Self.readEnds(of: file, byteCount: byteCount)
        } catch let error as OpenError {
            throw error
        } catch let error as BlockDamage {
            throw .damaged(error)
        } catch let error as StorageError {
            guard error.kind == .inputOutput else { throw .storage(error) }
            throw .damaged(BlockDamage(path: file.path, offset: 0, reason: error.description))
        } catch {
            throw .damaged(BlockDamage(path: file.path, offset: 0, reason: "\(error)"))
        }
    }

    /// The label index, read on first use.
    func index() throws -> BlockIndex {
        lastIndexUse.store(Self.uses.add(1, ordering: .relaxed).newValue, ordering: .relaxed)
        if let index = loaded.withLock({ $0 }) { return index }
        let index = try parse(at: footer.section(.groups)?.offset ?? 0) {
            try BlockIndex(
                symbols: try section(.symbols), entries: try section(.entries), postings: try section(.postings),
                groups: try groups())
        }
        guard index.seriesCount == footer.seriesCount else {
            throw damage(at: 0, "the index has \(index.seriesCount) series, the footer \(footer.seriesCount)")
        }
        loaded.withLock { $0 = index }
        return index
    }

    /// The groups alone, without the label index.
    func groups() throws -> [BlockGroup] {
        let bytes = try section(.groups)
        let end = footer.section(.groups)?.offset ?? 0
        return try parse(at: end) { try BlockGroup.list(from: bytes, dataEnd: end) }
    }

    /// Lets go of the index; returns the bytes freed.
    func releaseIndex() -> Int {
        loaded.withLock { loaded in
            defer { loaded = nil }
            return loaded?.memoryBytes ?? 0
        }
    }

    /// The memory the index takes now.
    var indexBytes: Int { loaded.withLock { $0?.memoryBytes ?? 0 } }

    /// The header of a strip; the flag says whether it was read from the medium.
    func strip(_ location: StripLocation) throws -> Strip {
        let key = PageKey(reader: number, offset: location.offset)
        if case .strip(let strip)? = cache.find(key) { return strip }
        let payload = PaddedBytes(
            try page(.stripHeader, at: location.offset, byteCount: location.headerByteCount))
        let strip = try parse(at: location.offset) {
            try payload.parse { raw throws(ByteError) in try Strip(parsing: raw, location: location) }
        }
        cache.keep(.strip(strip), as: key)
        return strip
    }

    /// A reader of the columns of a strip. One for a query keeps what it decodes with the strip, for the queries that
    /// come after it; one that reads all of it once does not.
    func columns(of location: StripLocation, keeping isKeeping: Bool = false) throws -> StripReader {
        var kept: ((Int) -> Void)?
        if isKeeping {
            let key = PageKey(reader: number, offset: location.offset)
            kept = { [cache] bytes in cache.note(bytes, moreOf: key) }
        }
        return StripReader(try strip(location), keeping: kept) { [self] range in
            try bytes(around: range, at: location)
        }
    }

    /// Column `index` of a strip in the form that is kept in memory.
    func resident(_ index: Int, in strip: Strip, at location: StripLocation) throws -> ResidentColumn {
        if let known = strip.resident(index) { return known }
        var columns = try columns(of: location, keeping: true)
        return try parse(at: location.offset) { try columns.resident(index) }
    }

    /// The samples of one column within `range`, in time order.
    func samples(
        of index: Int, in columns: inout StripReader, at location: StripLocation, range: TimeRange
    ) throws -> SampleRun {
        try parse(at: location.offset) { try Self.samples(of: index, in: &columns, range) }
    }

    /// Bytes of a strip's stream that hold a range of it as a whole, and where in the stream they begin: a page,
    /// or what lies across several.
    private func bytes(around range: Range<Int>, at location: StripLocation) throws -> (bytes: PaddedBytes, start: Int)
    {
        let capacity = BlockFormat.pagePayloadByteCount
        let firstPage = location.offset + UInt64(location.headerByteCount)
        func page(_ number: Int) throws -> PaddedBytes {
            let length = min(capacity, location.streamByteCount - number * capacity)
            let offset = firstPage + UInt64(number) * UInt64(BlockFormat.pageByteCount)
            return try cachedPage(at: offset, payloadByteCount: length)
        }
        guard !range.isEmpty else { return (PaddedBytes([]), range.lowerBound) }
        let numbers = range.lowerBound / capacity...(range.upperBound - 1) / capacity
        guard numbers.count > 1 else { return (try page(numbers.lowerBound), numbers.lowerBound * capacity) }
        let pieces = try numbers.map { number in
            let part = range.clamped(to: number * capacity..<(number + 1) * capacity)
            return try page(number).slice(part.lowerBound - number * capacity..<part.upperBound - number * capacity)
        }
        return (PaddedBytes(joining: pieces.map(\.bytes)), range.lowerBound)
    }

    private func cachedPage(at offset: UInt64, payloadByteCount: Int) throws -> PaddedBytes {
        let key = PageKey(reader: number, offset: offset)
        if case .page(let bytes)? = cache.find(key) { return bytes }
        let bytes = PaddedBytes(
            try page(.columns, at: offset, byteCount: payloadByteCount + BlockFormat.pageHeaderByteCount))
        cache.keep(.page(bytes), as: key)
        return bytes
    }

    /// The payload of a page, checked.
    private func page(_ kind: BlockFormat.PageKind, at offset: UInt64, byteCount: Int) throws -> [UInt8] {
        let bytes = try read(byteCount, at: offset)
        return try bytes.withUnsafeBytes { raw in
            var reader = ByteReader(raw)
            do throws(ByteError) {
                let found = try reader.byte()
                _ = try reader.slice(3)
                let length = try reader.fixed(UInt32.self)
                let checksum = try reader.fixed(UInt32.self)
                let payload = try reader.slice(reader.remaining)
                let front = UnsafeRawBufferPointer(rebasing: raw[..<8])
                let expected = crc32c(payload, continuing: BlockFormat.checksum(front, at: offset, seed: seed))
                guard checksum == expected else { throw ByteError(offset: 8, reason: "the page's checksum is wrong") }
                guard found == kind.rawValue, Int(length) == payload.count else {
                    throw ByteError(offset: 0, reason: "another page than the index says")
                }
                return Array(payload)
            } catch {
                throw damage(at: offset + UInt64(error.offset), error.reason)
            }
        }
    }

    private func section(_ kind: BlockFormat.SectionKind) throws -> [UInt8] {
        guard let section = footer.section(kind) else { throw damage(at: 0, "the index has no section \(kind)") }
        let bytes = try read(section.byteCount, at: section.offset)
        let checksum = bytes.withUnsafeBytes { BlockFormat.checksum($0, at: section.offset, seed: seed) }
        guard checksum == section.checksum else {
            throw damage(at: section.offset, "the checksum of the section \(kind) is wrong")
        }
        guard section.kind & BlockFormat.compressedFlag != 0 else { return bytes }
        return try parse(at: section.offset) { try Self.restored(bytes) }
    }

    private func read(_ count: Int, at offset: UInt64) throws -> [UInt8] {
        do {
            return try Self.read(file, count, at: offset)
        } catch  where error.kind == .inputOutput {
            throw damage(at: offset, error.description)
        }
    }

    /// Runs a parser; what it does not like is damage, although the checksum held.
    private func parse<Value>(at offset: UInt64, _ body: () throws -> Value) throws -> Value {
        do {
            return try body()
        } catch let error as ByteError {
            throw damage(at: offset, "\(error)")
        }
    }

    private func damage(at offset: UInt64, _ reason: String) -> BlockDamage {
        BlockDamage(path: path, offset: offset, reason: reason)
    }
}

extension BlockReader {
    /// A section that was written compressed.
    private static func restored(_ bytes: [UInt8]) throws(ByteError) -> [UInt8] {
        try bytes.parse { raw throws(ByteError) in
            var reader = ByteReader(raw)
            let count = try reader.count(upTo: BlockFormat.sectionByteCountMaximum, "section")
            let frame = try reader.slice(reader.remaining)
            do throws(CompressionError) {
                let bytes = try Compression.zstd.decompress(frame, bytesMaximum: count)
                if bytes.count == count { return bytes }
            } catch {
                throw ByteError(offset: 0, reason: "\(error)")
            }
            throw ByteError(offset: 0, reason: "a section of another length than it says")
        }
    }

    private static func read(_ file: any ObjectReader, _ count: Int, at offset: UInt64) throws(StorageError) -> [UInt8]
    {
        var failure: StorageError?
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
            do throws(StorageError) {
                try file.read(
                    into: UnsafeMutableRawBufferPointer(rebasing: UnsafeMutableRawBufferPointer(buffer)[..<count]),
                    at: offset)
                initialized = count
            } catch {
                failure = error
            }
        }
        if let failure { throw failure }
        return bytes
    }

    /// Checks header, trailer and footer; returns what the checksums continue from, and the footer.
    private static func readEnds(of file: any ObjectReader, byteCount: UInt64) throws -> (UInt32, BlockFooter) {
        let ends = UInt64(BlockFormat.headerByteCount + BlockFormat.trailerByteCount)
        guard byteCount >= ends else {
            throw BlockDamage(path: file.path, offset: byteCount, reason: "the file is too short for a block")
        }
        let header = try read(file, BlockFormat.headerByteCount, at: 0)
        let (salt, version) = try header.withUnsafeBytes { raw in
            var reader = ByteReader(raw)
            let magic = try reader.fixed(UInt32.self)
            let version = try reader.byte()
            guard magic == BlockFormat.magic else { throw ByteError(offset: 0, reason: "not the start of a block") }
            if version > BlockFormat.version { throw OpenError.newer(version: version) }
            guard version >= BlockFormat.versionMinimum else {
                throw ByteError(offset: 4, reason: "version \(version), which no release wrote")
            }
            _ = try reader.slice(3)
            return (try reader.fixed(UInt64.self), version)
        }
        let seed = BlockFormat.seed(salt: salt)
        let trailerOffset = byteCount - UInt64(BlockFormat.trailerByteCount)
        let trailer = try read(file, BlockFormat.trailerByteCount, at: trailerOffset)
        let (offset, length, checksum) = try trailer.withUnsafeBytes { raw in
            var reader = ByteReader(raw)
            return (try reader.fixed(UInt64.self), try reader.fixed(UInt32.self), try reader.fixed(UInt32.self))
        }
        guard length <= BlockFooter.byteCountMaximum, offset <= trailerOffset,
            trailerOffset - offset == UInt64(length)
        else { throw BlockDamage(path: file.path, offset: trailerOffset, reason: "the trailer points elsewhere") }
        let bytes = try read(file, Int(length) + 12, at: offset)
        let footer = try bytes.withUnsafeBytes { raw in
            guard BlockFormat.checksum(raw, at: offset, seed: seed) == checksum else {
                throw BlockDamage(path: file.path, offset: offset, reason: "the footer's checksum is wrong")
            }
            let front = UnsafeRawBufferPointer(rebasing: raw[..<Int(length)])
            return try BlockFooter(parsing: front, version: version, endingAt: offset)
        }
        return (seed, footer)
    }

    /// Puts a column's rows, stale markers and values together and cuts them to `range`.
    private static func samples(
        of index: Int, in columns: inout StripReader, _ range: TimeRange
    ) throws -> SampleRun {
        let entry = columns.strip.entries[index]
        let times = columns.strip.times
        var run = SampleRun()
        if entry.isHistogram {
            (run.histograms, run.starts) = try columns.histograms(index)
        } else {
            (run.bits, run.starts) = try columns.floats(index)
        }
        if let stale = entry.shape.stale { try run.insertStale(stale, presence: entry.shape.presence) }
        if let presence = entry.shape.presence {
            run.timesMilliseconds.reserveCapacity(presence.count)
            for rows in presence.runs { run.timesMilliseconds.append(contentsOf: times[rows]) }
        } else {
            run.timesMilliseconds = times
        }
        run.cut(to: range)
        return run
    }
}

extension SampleRun {
    /// Puts stale markers between the values where `stale` says.
    mutating func insertStale(_ stale: RowRuns, presence: RowRuns?) throws(ByteError) {
        let marked = stale.rows
        let total = bits.count + marked.count
        var merged: [UInt64] = []
        merged.reserveCapacity(total)
        var (nextValue, nextMark) = (0, 0)
        func put(_ row: Int) throws(ByteError) {
            if nextMark < marked.count, marked[nextMark] == row {
                merged.append(Sample.staleBits)
                nextMark += 1
            } else {
                guard nextValue < bits.count else { throw ByteError(offset: 0, reason: "stale marker without a row") }
                merged.append(bits[nextValue])
                nextValue += 1
            }
        }
        if let presence {
            for row in presence.rows { try put(row) }
        } else {
            for row in 0..<total { try put(row) }
        }
        guard nextMark == marked.count else { throw ByteError(offset: 0, reason: "stale marker without a row") }
        bits = merged
    }

    /// Keeps only the samples within `range`.
    mutating func cut(to range: TimeRange) {
        guard let first = timesMilliseconds.first, let last = timesMilliseconds.last else { return }
        if range.contains(first), range.contains(last) { return }
        let start = timesMilliseconds.firstIndex { $0 >= range.startMilliseconds } ?? count
        let end = timesMilliseconds.lastIndex { $0 <= range.endMilliseconds }.map { $0 + 1 } ?? 0
        let kept = start..<max(start, end)
        timesMilliseconds = Array(timesMilliseconds[kept])
        if !bits.isEmpty { bits = Array(bits[kept]) }
        if !starts.isEmpty { starts = Array(starts[kept]) }
        if !histograms.isEmpty { histograms = Array(histograms[kept]) }
    }
}
