internal import CKernels

/// Walks the frames of one segment in order, in bounded memory, and finds its way again behind damage.
///
/// Behind damage the walk goes on at the next bytes that hold as a frame: both checksums, which continue from the
/// segment's random salt, and a position that can stand there. Zeros are never a frame.
struct SegmentScanner {
    /// One step of the walk.
    enum Item {
        /// A frame that holds, with the offset of its header. `bytes` is header and payload, valid until the next step.
        case frame(FrameHeader, offset: UInt64, bytes: UnsafeRawBufferPointer)
        /// Bytes that are no frame, and how many frames stood there.
        case damage(Range<UInt64>, framesLost: UInt64)
        /// Behind the last frame; from here to the end nothing holds.
        case end(offset: UInt64)
    }

    /// Small frames are read many at a time.
    private static let windowBytes = 256 << 10
    /// A failing medium is asked again in steps of this size, so that one bad place costs little.
    private static let mediumStepBytes = 4 << 10

    private let file: any ObjectReader
    private let seed: UInt32
    private let first: LogPosition
    /// Where the segment's bytes end.
    private let end: UInt64
    private let window: RawBuffer
    private var windowStart: UInt64 = 0
    private var windowCount = 0

    /// The offset of the next step.
    private(set) var offset: UInt64
    /// The position that the frame at `offset` has if nothing is missing.
    private(set) var expected: LogPosition
    /// Bytes that the medium refused to give; they were taken as zeros.
    private(set) var unreadableBytes: UInt64 = 0

    /// Walks `file` up to the byte `end`, from its first frame or from a place reached earlier.
    init(
        _ file: any ObjectReader, header: SegmentHeader, end: UInt64, window: RawBuffer,
        resumingAt place: (offset: UInt64, expected: LogPosition)? = nil
    ) {
        self.file = file
        seed = header.seed
        first = header.first
        self.end = end
        self.window = window
        offset = place?.offset ?? UInt64(SegmentHeader.byteCount)
        expected = place?.expected ?? header.first
    }

    /// The next frame, damaged range, or the end (again and again).
    mutating func next() throws(StorageError) -> Item {
        var candidate = offset
        while let place = try findMagic(from: candidate) {
            candidate = place + 1
            guard let (header, bytes) = try frame(at: place), isPlausible(header.position, at: place) else { continue }
            if place > offset {
                let damage = Item.damage(offset..<place, framesLost: header.position.ordinal - expected.ordinal)
                offset = place
                expected = header.position
                return damage
            }
            offset += UInt64(header.frameBytes)
            expected = header.position.advanced(by: 1)
            return .frame(header, offset: place, bytes: bytes)
        }
        return .end(offset: offset)
    }

    /// How many of the bytes from `offset` on are not just trailing zeros: what a torn write left, or preallocated
    /// room.
    mutating func tornBytes() throws(StorageError) -> UInt64 {
        var last = offset
        var place = offset
        while place < end {
            let bytes = try view(at: place, count: Int(min(end - place, UInt64(Self.windowBytes))))
            if let index = bytes.lastIndex(where: { $0 != 0 }) { last = place + UInt64(index) + 1 }
            place += UInt64(bytes.count)
        }
        return last - offset
    }

    /// Whether a frame of `position` may stand at `place`: it is not behind us, and the frames in front of it, 28
    /// bytes or more each, have room there.
    private func isPlausible(_ position: LogPosition, at place: UInt64) -> Bool {
        let room = (place - UInt64(SegmentHeader.byteCount)) / UInt64(FrameHeader.byteCount)
        return position >= expected && position.ordinal - first.ordinal <= room
    }

    /// The frame at `place`, if one is there and holds.
    private mutating func frame(
        at place: UInt64
    ) throws(StorageError) -> (FrameHeader, UnsafeRawBufferPointer)? {
        guard end - place >= UInt64(FrameHeader.byteCount),
            let header = FrameHeader.decode(try view(at: place, count: FrameHeader.byteCount), seed: seed),
            end - place >= UInt64(header.frameBytes)
        else { return nil }
        let bytes = try view(at: place, count: header.frameBytes)
        return FrameHeader.payloadHolds(bytes) ? (header, bytes) : nil
    }

    /// The first place from `start` on where a frame's magic stands.
    private mutating func findMagic(from start: UInt64) throws(StorageError) -> UInt64? {
        var place = start
        while place < end, end - place >= UInt64(FrameHeader.byteCount) {
            let bytes = try view(at: place, count: FrameHeader.byteCount, orMore: true)
            let found = withUnsafeBytes(of: FrameHeader.magic.littleEndian) {
                vedette_find(bytes.baseAddress, bytes.count, $0.baseAddress, $0.count)
            }
            if found >= 0 { return place + UInt64(found) }
            place += UInt64(bytes.count - 3)
        }
        return nil
    }

    /// The `count` bytes at `place`, with `orMore` all that happen to be in memory behind them too.
    private mutating func view(
        at place: UInt64, count: Int, orMore: Bool = false
    ) throws(StorageError) -> UnsafeRawBufferPointer {
        if place < windowStart || place + UInt64(count) > windowStart + UInt64(windowCount) {
            let wanted = Int(min(UInt64(max(count, Self.windowBytes)), end - place))
            window.grow(to: wanted)
            windowCount = 0
            try load(wanted, at: place)
            windowStart = place
            windowCount = wanted
        }
        let start = Int(place - windowStart)
        return window[start..<(orMore ? windowCount : start + count)]
    }

    private mutating func load(_ count: Int, at place: UInt64) throws(StorageError) {
        do {
            try file.read(into: UnsafeMutableRawBufferPointer(rebasing: window.bytes[..<count]), at: place)
        } catch  where error.kind == .inputOutput {
            var start = 0
            while start < count {
                // Steps end at multiples of the step in the file, as the medium's blocks do.
                let aligned = Self.mediumStepBytes - Int((place + UInt64(start)) % UInt64(Self.mediumStepBytes))
                let stop = min(count, start + aligned)
                let step = UnsafeMutableRawBufferPointer(rebasing: window.bytes[start..<stop])
                do {
                    try file.read(into: step, at: place + UInt64(start))
                } catch  where error.kind == .inputOutput {
                    step.initializeMemory(as: UInt8.self, repeating: 0)
                    unreadableBytes += UInt64(step.count)
                }
                start = stop
            }
        }
    }
}
