internal import Glibc
internal import Telemetry

/// How a tail finds its files: by name, by identity, by content, and by descriptor.
extension FileTail {
    /// A compressed file may hold so much.
    private static let unpackedBytesMaximum = 256 << 20

    /// Opens what appeared under the log's name or was rotated away before it was seen. `lastBytes` limits what is read
    /// of a file that is new to the agent. `searches` looks at rotated files too that were wholly read before: a writer
    /// may go on in a file that was renamed.
    func open(_ positions: TailPositions, lastBytes: UInt64?, searches: Bool, _ harvest: inout Harvest) {
        let isFirstLook = files.isEmpty && finished.isEmpty
        let current = Self.inode(log.path)
        harvest.isUnreadable = current == nil && errno == EACCES
        if let current, let newest = files.last, newest.physical.device == current.device,
            newest.physical.inode == current.inode
        {
            if searches { reopenGrown() }
            return
        }
        guard current != nil || isFirstLook else { return }
        let opened = RotatedFiles.open(log.path)
        var found = opened.filter { !$0.isCompressed }.compactMap {
            TailedFile(descriptor: $0.duplicate(), format: log.format, isFinal: isEnded)
        }
        if found.isEmpty, files.isEmpty, current != nil { harvest.isUnreadable = access(log.path, R_OK) != 0 }
        if harvest.isUnreadable { return }
        let archives = opened.filter(\.isCompressed)
        let unpacked = isFirstLook ? [] : unseen(archives, besides: found)
        found.removeAll { file in
            finished[file.identity] != nil || files.contains { $0.physical == file.physical }
        }
        found =
            isFirstLook ? firstFiles(found, archives, positions, lastBytes, &harvest) : unpacked + found
        for file in found {
            // Known from now on, so that a restart neither takes it for history nor reads an archive of it as new.
            let begin = file.harvested.offset == 0 ? file.beginning : file.reach
            harvest.discoveries.append((TailPositions.Place(log: log.key, file: file.identity), begin))
            if !file.isCopy { surroundings.keeper.keep(file.descriptor, file.physical) }
        }
        files.append(contentsOf: found)
    }

    /// What was rotated away and compressed between two looks: all that is newer than the archive of the file that was
    /// followed last.
    private func unseen(_ archives: [RotatedFiles.Opened], besides plain: [TailedFile]) -> [TailedFile] {
        guard let last = files.last.map({ ($0.physical, $0.reach) }) ?? lastOver,
            !plain.contains(where: { $0.physical == last.0 })
        else { return [] }
        var newer: [TailedFile] = []
        for archive in archives.reversed() {
            guard let file = unpack(archive) else { continue }
            if file.holds(last.1) { return newer }
            newer.insert(file, at: 0)
        }
        return []
    }

    /// What an agent reads that has just begun: `found` behind what earlier runs have told the server.
    private func firstFiles(
        _ found: [TailedFile], _ archives: [RotatedFiles.Opened], _ positions: TailPositions, _ lastBytes: UInt64?,
        _ harvest: inout Harvest
    ) -> [TailedFile] {
        var found = found
        let known = positions.reaches.filter { $0.key.log == log.key }
        guard !known.isEmpty else {
            // Rotated files from before the agent knew the log are history.
            for file in found.dropLast() { finish(file.identity, file.sizeBytes) }
            if let newest = found.last, let lastBytes { newest.skipToLast(lastBytes) }
            return found.last.map { [$0] } ?? []
        }
        var missing: [TailPositions.Place: TailPositions.Reach] = [:]
        var oldestKnown: Int?
        for (place, reach) in known {
            if let index = found.firstIndex(where: { $0.identity == place.file }) {
                oldestKnown = min(oldestKnown ?? index, index)
                // Cut while nobody looked: the rest of what it held may be in a copy.
                if !found[index].resume(reach) { missing[place] = reach }
            } else if let kept = keptFile(place.file, reach) {
                found.insert(kept, at: 0)
                oldestKnown = 0
            } else {
                missing[place] = reach
            }
        }
        let unpacked = replaceByContent(&found, archives, &missing, &oldestKnown)
        if let oldestKnown, unpacked.isEmpty {
            for file in found[..<oldestKnown] { finish(file.identity, file.sizeBytes) }
            found.removeSubrange(..<oldestKnown)
        }
        tellMissing(missing.filter { place, _ in !found.contains { $0.identity == place.file } }, &harvest)
        return unpacked + found
    }

    /// A file that an earlier run of this agent had open, whatever became of its names.
    private func keptFile(_ identity: FileIdentity, _ reach: TailPositions.Reach) -> TailedFile? {
        guard let descriptor = surroundings.keeper.take(identity) else { return nil }
        let file = TailedFile(descriptor: descriptor, physical: identity, identity: identity, format: log.format)
        file.resume(reach)
        return file
    }

    /// Looks for files that hold what is missing: first among `found`, where a copy then stands in for its original,
    /// then among compressed ones, newest first. Returns those that were unpacked, oldest first; all that is newer than
    /// the one that was looked for is to be read.
    private func replaceByContent(
        _ found: inout [TailedFile], _ archives: [RotatedFiles.Opened],
        _ missing: inout [TailPositions.Place: TailPositions.Reach], _ oldestKnown: inout Int?
    ) -> [TailedFile] {
        for (place, reach) in missing {
            // Under the log's own name stands what is being written, never a copy.
            let index = found.firstIndex {
                $0.identity != place.file && !isCurrent($0) && $0.holds(reach)
            }
            guard let index, let copy = copy(found[index], of: place.file) else { continue }
            copy.resume(reach)
            found[index] = copy
            oldestKnown = min(oldestKnown ?? index, index)
            missing[place] = nil
        }
        guard missing.values.contains(where: { $0.mark != nil }) else { return [] }
        var unpacked: [TailedFile] = []
        var wanted: [TailedFile] = []
        for archive in archives.reversed() {
            guard let file = unpack(archive) else { continue }
            unpacked.insert(file, at: 0)
            guard let match = missing.first(where: { file.holds($0.value) }),
                let copy = copy(file, of: match.key.file)
            else { continue }
            copy.resume(match.value)
            unpacked[0] = copy
            wanted = unpacked
            missing[match.key] = nil
            if !missing.values.contains(where: { $0.mark != nil }) { break }
        }
        if !wanted.isEmpty { return wanted }
        // Where the file itself is still there, only its former content is gone: older archives are history.
        return oldestKnown == nil ? unpacked : []
    }

    private func copy(_ file: TailedFile, of identity: FileIdentity) -> TailedFile? {
        let descriptor = fcntl(file.descriptor, F_DUPFD_CLOEXEC, 0)
        guard descriptor >= 0 else { return nil }
        return TailedFile(
            descriptor: descriptor, physical: file.physical, identity: identity, format: log.format)
    }

    private func isCurrent(_ file: TailedFile) -> Bool {
        Self.inode(log.path).map { $0.device == file.physical.device && $0.inode == file.physical.inode } ?? false
    }

    /// An archive of which no inode is known: it is what it holds.
    private func unpack(_ archive: RotatedFiles.Opened) -> TailedFile? {
        let descriptor = RotatedFiles.unpack(
            archive, into: surroundings.folder, bytesMaximum: Self.unpackedBytesMaximum)
        guard descriptor >= 0, let physical = FileIdentity(descriptor: descriptor) else { return nil }
        let birth = ContentMark.birth(of: descriptor, isFinal: true) ?? -1
        let identity = FileIdentity(device: 0, inode: 0, birthNanoseconds: birth)
        return TailedFile(descriptor: descriptor, physical: physical, identity: identity, format: log.format)
    }

    /// A file was cut while it was followed: what it held behind the last look may be in a copy (`copytruncate`).
    /// Returns whether there is one, which is then read first.
    func follow(_ cut: TailedFile.Cut, of file: TailedFile, _ part: inout TailedFile.Harvest) -> Bool {
        var copied: TailedFile?
        let rotated = RotatedFiles.open(log.path).filter { $0.path != log.path }
        for one in rotated.reversed().prefix(2) where cut.mark.headLength > 0 {
            let candidate =
                one.isCompressed
                ? unpack(one) : TailedFile(descriptor: one.duplicate(), format: log.format, isFinal: true)
            guard let candidate, candidate.physical != file.physical,
                cut.mark.matches(candidate.descriptor, at: cut.markOffset)
            else { continue }
            copied = copy(candidate, of: file.identity)
            copied?.resume(cut.reach)
            break
        }
        file.settleCut(&part, isInCopy: copied != nil)
        guard let copied, let index = files.firstIndex(where: { $0 === file }) else { return false }
        files.insert(copied, at: index)
        part.hasMore = true
        return true
    }

    /// A writer that was not told of a rotation goes on in the renamed file.
    private func reopenGrown() {
        for name in RotatedFiles.names(of: log.path) where !name.isCompressed {
            guard let file = TailedFile(path: name.path, format: log.format, isFinal: false),
                let end = finished[file.identity], file.sizeBytes > end.offset,
                !files.contains(where: { $0.physical == file.physical })
            else { continue }
            finished[file.identity] = nil
            file.resume(end)
            files.insert(file, at: 0)
        }
    }

    /// Files of an earlier run that are nowhere any more: what was not read of them is lost, and said so.
    private func tellMissing(
        _ missing: [TailPositions.Place: TailPositions.Reach], _ harvest: inout Harvest
    ) {
        for place in missing.keys {
            harvest.closed.append(place)
            finish(place.file, .max)
            harvest.losses.append(
                LogLoss(
                    labels: log.labels[0], origin: nil, range: LogTimeRange(startNanoseconds: 0, endNanoseconds: 0),
                    lines: 0, bytes: 0, reason: "file was rotated away while the agent was not running"))
        }
    }
}
