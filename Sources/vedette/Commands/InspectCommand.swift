internal import ArgumentParser
internal import Disk

/// `vedette inspect`: what is inside the files of a data folder.
struct InspectCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "inspect",
        abstract: "Look into the files of a data folder.",
        subcommands: [InspectBlockCommand.self, InspectLogCommand.self, InspectPartCommand.self])
}

/// `vedette inspect log`: a segmented log (write-ahead log, spool, journal), frame by frame.
struct InspectLogCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "log",
        abstract: "Check every frame of a log's folder: write-ahead log, spool or journal.",
        discussion: "Opening a log recovers it as a start would. Stop the process that owns it first.")

    @Argument(help: "The folder of the log, for example ./vedette-data/metrics/wal.")
    var folder: String

    func run() throws {
        let storage = SystemStorage()
        let log: SegmentedLog
        do {
            _ = try storage.list(folder)
            log = try SegmentedLog(folder: folder, in: storage)
        } catch {
            throw CommandFailure("the log cannot be opened: \(error)")
        }
        var frames: [UInt8: (count: Int, bytes: Int)] = [:]
        let lost: UInt64
        do {
            lost = try log.read(from: log.firstPosition) { frame in
                frames[frame.kind, default: (0, 0)].count += 1
                frames[frame.kind, default: (0, 0)].bytes += frame.payload.count
                return true
            }.framesLost
        } catch {
            throw CommandFailure("the log cannot be read: \(error)")
        }
        var table = TextTable(["kind", "frames", "bytes"], alignments: [.right, .right, .right])
        for (kind, sums) in frames.sorted(by: { $0.key < $1.key }) {
            table.append(["\(kind)", "\(sums.count)", "\(sums.bytes)"])
        }
        Terminal.write(
            "\(folder): \(log.segmentCount) segments, \(log.bytesOnDisk) bytes, "
                + "positions \(log.firstPosition) to \(log.endPosition)\n" + table.render())
        if lost > 0 {
            throw CommandFailure("\(lost) frames are damaged and lost; all others were read. \(log.recovery)")
        }
    }
}
