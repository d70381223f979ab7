package import Disk
internal import Telemetry

/// What is inside one part's file, and what of it is damaged: every checksum is looked at, every line is rebuilt.
package struct PartInspection: Sendable {
    /// One damaged place and what it costs.
    package struct Damage: Sendable, Equatable {
        /// Where in the file, for example "block 3 at byte 1024".
        package var place: String
        /// Why it cannot be used.
        package var reason: String
        /// What is lost by it.
        package var cost: String
        /// Lines that answers are missing; 0 when none is.
        package var linesLost: Int
    }

    /// The blocks of one stream together.
    package struct Stream: Sendable {
        /// The stream's labels as a selector.
        package var labels: String
        package var blocks = 0
        package var lines = 0
        package var lineBytes = 0
        package var storedBytes = 0
        package var filterBytes = 0
        package var firstNanoseconds = Int64.max
        package var lastNanoseconds = Int64.min
    }

    package var path: String
    package var fileBytes: UInt64
    package var createdNanoseconds: Int64
    /// The positions of the write-ahead log whose batches the part holds.
    package var firstPosition: UInt64
    package var lastPosition: UInt64
    package var streams: [Stream] = []
    package var templates: Int
    package var origins: Int
    package var deliveries: Int
    package var losses: Int
    package var damage: [Damage] = []

    package var blocks: Int { streams.reduce(0) { $0 + $1.blocks } }
    package var lines: Int { streams.reduce(0) { $0 + $1.lines } }
    package var lineBytes: Int { streams.reduce(0) { $0 + $1.lineBytes } }
    package var linesLost: Int { damage.reduce(0) { $0 + $1.linesLost } }

    /// Looks at the file `path`. Throws when nothing of it can be used: the reason says why.
    package init(path: String, storage: any FileStorage) throws {
        let part = try PartReader(try storage.open(path, .read))
        let footer = part.footer
        self.path = path
        fileBytes = part.fileBytes
        createdNanoseconds = footer.createdNanoseconds
        (firstPosition, lastPosition) = (footer.firstPosition, footer.lastPosition)
        templates = footer.templates.leaves.count { $0 }
        origins = footer.origins.count
        deliveries = footer.deliveries.count
        losses = footer.losses.count
        for (place, error) in part.copiesDamage() {
            damage.append(
                Damage(
                    place: "the copy of the footer named at the file's \(place)", reason: error,
                    cost: "nothing: the other copy is used", linesLost: 0))
        }
        for (number, labels) in footer.streams.enumerated() {
            var stream = Stream(labels: "\(labels)")
            for index in part.blockRanges[number] { look(at: index, of: part, &stream) }
            streams.append(stream)
        }
    }

    private mutating func look(at index: Int, of part: PartReader, _ stream: inout Stream) {
        let summary = part.footer.blocks[index]
        stream.blocks += 1
        stream.lines += summary.lines
        stream.lineBytes += summary.rawBytes
        stream.storedBytes += summary.storedBytes
        stream.filterBytes += summary.filterBytes
        stream.firstNanoseconds = min(stream.firstNanoseconds, summary.firstNanoseconds)
        stream.lastNanoseconds = max(stream.lastNanoseconds, summary.lastNanoseconds)
        let place = "block \(index) at byte \(summary.offset)"
        for (piece, error) in StoredBlock(part, summary).damage() {
            let lost = piece == .lines ? summary.lines : 0
            let range = LogTimeRange(
                startNanoseconds: summary.firstNanoseconds,
                endNanoseconds: summary.lastNanoseconds == .max ? .max : summary.lastNanoseconds + 1)
            let cost =
                switch piece {
                case .lines: "\(summary.lines) lines of \(stream.labels) from \(LogDatabase.words(range))"
                case .metadata: "the structured metadata of its lines"
                case .origins: "the places of its lines in their sources"
                case .filter: "nothing: the block is searched without its filter"
                }
            damage.append(Damage(place: place, reason: "\(error)", cost: cost, linesLost: lost))
        }
    }

    /// Whether a file's name is one of a part, damaged or not.
    package static func isPart(_ fileName: String) -> Bool { PartName(fileName) != nil }
}

extension StoredBlock {
    /// What of a block can be damaged by itself.
    enum Piece {
        case lines
        case metadata
        case origins
        case filter
    }

    /// Reads all of the block; returns what of it cannot be used, and why.
    func damage() -> [(piece: Piece, error: any Error)] {
        var found: [(piece: Piece, error: any Error)] = []
        func check(_ piece: Piece, _ body: () throws -> Void) {
            do { try body() } catch { found.append((piece, error)) }
        }
        check(.lines) {
            var columns = LineColumns()
            try restoreLines(&columns)
        }
        check(.metadata) { _ = try metadata() }
        check(.origins) {
            var columns = LineColumns()
            try restoreOrigins(&columns)
        }
        check(.filter) { _ = try filter() }
        return found
    }
}
