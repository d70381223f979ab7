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
        discussion: """
            Reads only, also beside the process that owns the log: what that writes in the meantime may look torn. \
            Exits with 1 when something is damaged, and says where and how much is lost by it.
            """)

    @Argument(help: "The folder of the log, for example ./vedette-data/metrics/wal.")
    var folder: String

    func run() throws {
        let log: LogInspection
        do {
            log = try LogInspection(folder: folder, in: SystemStorage())
        } catch {
            throw CommandFailure("the log cannot be read: \(error)")
        }
        guard log.segments > 0 || !log.unreadable.isEmpty else {
            throw CommandFailure(
                "there is no segment of a log in \(folder); logs of a data folder are metrics/wal, logs/log, "
                    + "alerting/journal, and agent/spool/samples, lines and events")
        }
        Terminal.write(text(of: log))
        let lost =
            log.unreadable.map { "\($0.path): \($0.reason); its frames are lost" } + log.damage.map(\.description)
        guard lost.isEmpty, log.framesLost == 0, log.unreadableBytes == 0 else {
            let sums = [
                log.framesLost > 0 ? "\(log.framesLost) frames are damaged or missing; all others were read" : nil,
                log.unreadableBytes > 0
                    ? "the device did not give back \(log.unreadableBytes) bytes: check the disk" : nil,
            ]
            throw CommandFailure((lost + sums.compactMap { $0 }).joined(separator: "\n"))
        }
    }

    private func text(of log: LogInspection) -> String {
        var table = TextTable(["kind", "frames", "bytes"], alignments: [.right, .right, .right])
        for (kind, sums) in log.kinds.sorted(by: { $0.key < $1.key }) {
            table.append(["\(kind)", "\(sums.frames)", "\(sums.bytes)"])
        }
        let (first, end) = (log.positions.lowerBound.ordinal, log.positions.upperBound.ordinal)
        let positions = end > first ? "positions \(first) to \(end - 1)" : "no frames, the next has position \(first)"
        var text = "\(folder): \(log.segments) segments, \(log.bytesOnDisk) bytes, \(positions)\n"
        text += table.isEmpty ? "" : table.render()
        if log.tornBytes > 0 {
            text +=
                "\(log.tornBytes) bytes behind the last frame are a write under way, or one that was interrupted and "
            text += "never acknowledged: the next start cuts them off\n"
        }
        return text
    }
}
