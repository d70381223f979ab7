/// One file of a simulated disk, twice: as the running system sees it, and as the medium would give it back after a
/// power cut, with the changes that lie between the two.
struct FileImage {
    /// A change that the medium may not know yet.
    enum Change {
        case write(offset: Int, bytes: [UInt8])
        case resize(Int)
    }

    private(set) var live: [UInt8] = []
    private(set) var durable: [UInt8] = []
    private(set) var pending: [Change] = []

    /// An empty file.
    init() {}

    /// A file that is on the medium as it is seen.
    init(durable: [UInt8]) {
        live = durable
        self.durable = durable
    }

    /// Changes what the system sees.
    mutating func apply(_ change: Change) {
        Self.apply(change, to: &live)
        pending.append(change)
    }

    /// Brings all changes to the medium.
    mutating func sync() {
        for change in pending { Self.apply(change, to: &durable) }
        pending = []
    }

    /// Drops all changes as a kernel does after a write-back error: they never reach the medium, and no later sync says
    /// so. What the system sees stays, or falls back when the pages leave the cache.
    mutating func loseChanges(andForget forgets: Bool) {
        pending = []
        if forgets { live = durable }
    }

    /// What a power cut leaves: of each change all, nothing, or any part, whatever became of those before it.
    func survivor(using generator: inout SeededGenerator, noting tears: inout Tears) -> [UInt8] {
        var image = durable
        for change in pending {
            guard case .write(let offset, let bytes) = change, !bytes.isEmpty else {
                if generator.oneIn(2) { Self.apply(change, to: &image) }
                continue
            }
            switch generator.int(in: 0..<8) {
            case 0, 1:
                tears.lost += 1
            case 2:
                // The size got through, the bytes did not.
                tears.zeroed += 1
                if image.count < offset + bytes.count { Self.apply(.resize(offset + bytes.count), to: &image) }
            case 3, 4:
                let kept =
                    generator.oneIn(2)
                    ? min(generator.int(in: 0..<64), bytes.count) : generator.int(in: 0..<bytes.count)
                tears.prefixes[min(kept, Tears.prefixMaximum), default: 0] += 1
                Self.apply(.write(offset: offset, bytes: Array(bytes[..<kept])), to: &image)
            case 5:
                let start = generator.int(in: 0..<bytes.count)
                let end = generator.int(in: start..<bytes.count) + 1
                tears.middles += 1
                Self.apply(.write(offset: offset + start, bytes: Array(bytes[start..<end])), to: &image)
            default:
                tears.whole += 1
                Self.apply(change, to: &image)
            }
        }
        return image
    }

    /// Changes both images at once: damage on the medium.
    mutating func overwrite(_ bytes: [UInt8]) {
        self = FileImage(durable: bytes)
    }

    private static func apply(_ change: Change, to image: inout [UInt8]) {
        switch change {
        case .resize(let size):
            if size < image.count { image.removeLast(image.count - size) }
            if size > image.count { image += [UInt8](repeating: 0, count: size - image.count) }
        case .write(let offset, let bytes):
            guard !bytes.isEmpty else { return }
            if image.count < offset + bytes.count { apply(.resize(offset + bytes.count), to: &image) }
            // Whole-array calls and not loops: tests run without optimisation.
            image.withUnsafeMutableBytes { raw in
                UnsafeMutableRawBufferPointer(rebasing: raw[offset...]).copyBytes(from: bytes)
            }
        }
    }
}

/// What power cuts did to writes that were not synced: how a test proves that it met every kind.
package struct Tears: Sendable {
    /// Longer prefixes are counted as this one.
    package static let prefixMaximum = 64

    /// By the number of bytes that survived.
    package var prefixes: [Int: Int] = [:]
    /// Some bytes in the middle or at the end survived, the first ones did not.
    package var middles = 0
    /// The file grew, the bytes are zeros.
    package var zeroed = 0
    package var lost = 0
    package var whole = 0

    /// None yet.
    package init() {}

    /// Adds what another run met.
    package mutating func add(_ other: Tears) {
        prefixes.merge(other.prefixes, uniquingKeysWith: +)
        middles += other.middles
        zeroed += other.zeroed
        lost += other.lost
        whole += other.whole
    }
}
