internal import Glibc
internal import Telemetry

/// The log of one container: the file being written, and rotated ones that are not wholly read yet, oldest first.
final class ContainerTail {
    /// What one pass brought.
    struct Harvest {
        var streams: [LogLines] = []
        var losses: [LogLoss] = []
        var reaches: [(TailPositions.Place, TailPositions.Reach)] = []
        var closed: [TailPositions.Place] = []
        var bytes = 0
        var hasMore = false
        /// Whether the log is there and may not be read.
        var isUnreadable = false
    }

    private(set) var container: Container
    /// The file's path as this process reaches it.
    let path: String
    private let agent: String
    private let node: String
    private var files: [TailedFile] = []
    /// Files that were read to their end and may still have a name.
    private var finished: Set<FileIdentity> = []
    private var streamLabels: [Labels]
    /// When the container ended, monotonic; what it left unfinished is given out a moment later.
    private var endedNanoseconds: Int64?

    /// After a container's end the engine may take so long to write its last words.
    private static let lastWordsNanoseconds: Int64 = 300_000_000
    private static let passBytesMaximum = 1 << 20

    /// The tail of `container`, whose log is at `path`.
    init(_ container: Container, path: String, agent: String, node: String) {
        self.container = container
        self.path = path
        self.agent = agent
        self.node = node
        streamLabels = Self.labels(container, node)
    }

    /// Takes over new names and labels.
    func update(_ container: Container) {
        self.container = container
        streamLabels = Self.labels(container, node)
    }

    /// The container ended: soon after, unfinished lines are as finished as they will ever be.
    func containerEnded(atNanoseconds now: Int64) { endedNanoseconds = now }

    /// Whether nothing is open, so that nothing more can come until the file appears again.
    var isIdle: Bool { files.isEmpty }

    /// Whether it must be looked at although nothing was notified: lines held back, or files to be let go of.
    var wantsPolling: Bool {
        endedNanoseconds != nil || files.count > 1 || files.contains { $0.isWaiting } || (files.count == 1 && !isNamed)
    }

    /// Opens what appeared under the log's name or was rotated away before it was seen. `lastBytes` limits what is read
    /// of a file that is new to the agent.
    func open(_ positions: TailPositions, lastBytes: UInt64?, _ harvest: inout Harvest) {
        guard let current = Self.inode(path) else {
            harvest.isUnreadable = errno == EACCES
            return harvest.isUnreadable ? () : noteVanished(positions, &harvest)
        }
        if let newest = files.last, newest.identity.device == current.device, newest.identity.inode == current.inode {
            return
        }
        let isFirstLook = files.isEmpty && finished.isEmpty
        let known = isFirstLook ? Set(positions.files(of: container.id)) : []
        var found = candidates().compactMap { TailedFile(path: $0) }
        harvest.isUnreadable = found.isEmpty && files.isEmpty
        if harvest.isUnreadable { return }
        found.removeAll { file in
            finished.contains(file.identity) || files.contains { $0.identity == file.identity }
        }
        if isFirstLook { forgetHistory(&found, known) }
        for file in found {
            let place = TailPositions.Place(container: container.id, file: file.identity)
            if let reach = positions.reaches[place] {
                file.resume(generation: reach.generation, offset: reach.offset)
            } else if isFirstLook, let lastBytes {
                file.skipToLast(lastBytes)
            }
        }
        files.append(contentsOf: found)
        if isFirstLook { noteLost(known, &harvest) }
    }

    /// Rotated files from before the agent knew the container are history. Once it knows one file, all newer ones are
    /// to be read; when even that one was rotated away, everything that is left is newer.
    private func forgetHistory(_ found: inout [TailedFile], _ known: Set<FileIdentity>) {
        let newest = found.last
        let firstKnown = found.firstIndex { known.contains($0.identity) }
        guard let start = known.isEmpty ? found.indices.last : firstKnown ?? found.indices.first else { return }
        for file in found[..<start] where file !== newest { finished.insert(file.identity) }
        found.removeSubrange(..<start)
    }

    /// Reads what is new in all files, oldest first, as far as there is room.
    func harvest(
        isAccepting: Bool, buffer: UnsafeMutableRawBufferPointer, atNanoseconds now: Int64, wallNanoseconds: Int64
    ) -> Harvest {
        var harvest = Harvest()
        let isLastWord = endedNanoseconds.map { now - $0 >= Self.lastWordsNanoseconds } ?? false
        for file in files {
            let isNewest = file === files.last
            let before = file.harvested
            var part = file.harvest(
                isNamed: isNewest && isNamed, isAccepting: isAccepting, budget: Self.passBytesMaximum - harvest.bytes,
                buffer: buffer, atNanoseconds: now)
            if isNewest, isLastWord, !part.hasMore { file.flush(&part) }
            let place = TailPositions.Place(container: container.id, file: file.identity)
            add(part, of: file, wallNanoseconds, &harvest)
            if file.harvested != before {
                let reach = TailPositions.Reach(
                    generation: file.harvested.generation, offset: file.harvested.offset)
                harvest.reaches.append((place, reach))
            }
            if part.isOver {
                finished.insert(file.identity)
                harvest.closed.append(place)
            }
            harvest.hasMore = harvest.hasMore || part.hasMore
        }
        files.removeAll { finished.contains($0.identity) }
        if isLastWord, !harvest.hasMore { endedNanoseconds = nil }
        return harvest
    }

    /// Whether the newest open file still has the log's name.
    private var isNamed: Bool {
        guard let newest = files.last, let current = Self.inode(path) else { return false }
        return newest.identity.device == current.device && newest.identity.inode == current.inode
    }

    /// The log and what was rotated away from it, oldest first. Compressed ones are left out.
    private func candidates() -> [String] {
        let folder = path.prefix(upTo: path.lastIndex(of: "/") ?? path.startIndex)
        let base = path.dropFirst(folder.count + 1)
        let names = HostRoot().names(String(folder)) ?? []
        let rotated = names.compactMap { name -> (number: Int, path: String)? in
            guard name.hasPrefix("\(base)."), let number = Int(name.dropFirst(base.count + 1)) else { return nil }
            return (number, "\(folder)/\(name)")
        }
        return rotated.sorted { $0.number > $1.number }.map(\.path) + [path]
    }

    private func noteVanished(_ positions: TailPositions, _ harvest: inout Harvest) {
        guard files.isEmpty else { return }
        noteLost(Set(positions.files(of: container.id)), &harvest)
    }

    /// Files of an earlier run that are nowhere any more: what was not read of them is lost, and said so.
    private func noteLost(_ known: Set<FileIdentity>, _ harvest: inout Harvest) {
        for identity in known where !files.contains(where: { $0.identity == identity }) {
            guard finished.insert(identity).inserted else { continue }
            harvest.closed.append(TailPositions.Place(container: container.id, file: identity))
            harvest.losses.append(
                LogLoss(
                    labels: streamLabels[0], origin: nil, range: LogTimeRange(startNanoseconds: 0, endNanoseconds: 0),
                    lines: 0, bytes: 0, reason: "file was rotated away while the agent was not running"))
        }
    }

    private func add(
        _ part: TailedFile.Harvest, of file: TailedFile, _ wallNanoseconds: Int64, _ harvest: inout Harvest
    ) {
        let origin = LogOrigin(source: file.identity.source(agent: agent), generation: part.generation)
        var streams = streamLabels.map { LogLines(labels: $0, origin: origin) }
        for line in part.lines {
            let metadata: Labels =
                switch line.ending {
                case .complete: .empty
                case .unterminated: Labels(["unterminated": "true"])
                case .split: Labels(["split": "true"])
                }
            streams[line.stream.rawValue].append(
                nanoseconds: line.nanoseconds, line: line.text, offsets: line.offsets, metadata: metadata)
        }
        for raw in part.rawLines {
            // Without a time of its own a damaged record takes that of the line before it.
            let nanoseconds = streams[0].timesNanoseconds.last ?? wallNanoseconds
            streams[0].append(
                nanoseconds: nanoseconds, line: raw.text, offsets: raw.offsets,
                metadata: Labels(["unparsed": "true"]))
        }
        for stream in streams where stream.count > 0 {
            harvest.bytes += stream.bytes.count
            harvest.streams.append(stream)
        }
        if part.lostBytes > 0 {
            harvest.losses.append(
                LogLoss(
                    labels: streamLabels[0], origin: origin,
                    range: LogTimeRange(startNanoseconds: 0, endNanoseconds: 0), lines: 0, bytes: Int(part.lostBytes),
                    reason: "deleted file was too large to be held for a server that took nothing"))
        }
    }

    private static func labels(_ container: Container, _ node: String) -> [Labels] {
        DockerRecord.Stream.allCases.map { container.streamLabels(node: node, stream: $0.label) }
    }

    private static func inode(_ path: String) -> (device: UInt64, inode: UInt64)? {
        var status = stat()
        guard stat(path, &status) == 0 else { return nil }
        return (UInt64(status.st_dev), UInt64(status.st_ino))
    }
}
