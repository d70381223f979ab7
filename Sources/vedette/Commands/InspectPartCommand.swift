internal import ArgumentParser
internal import Disk
internal import LogStore
internal import Telemetry

/// `vedette inspect part`: what is inside parts of the log store, and what damage costs.
struct InspectPartCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "part",
        abstract: "Check every byte of the log store's parts.",
        discussion: """
            Takes a part's file or a folder of parts. Every checksum is looked at and every line is rebuilt; what is \
            damaged is named with what it costs, and the exit status is 1. Nothing is changed: a running server may \
            go on.
            """)

    @Argument(help: "A part or a folder of parts, for example ./vedette-data.")
    var path: String

    @Option(name: [.short, .long], help: "How to print what was found: table or json.")
    var output: OutputFormat = .table

    /// A part that cannot be opened at all.
    private struct Unreadable {
        var path: String
        var reason: String
    }

    func run() throws {
        var parts: [PartInspection] = []
        var unreadable: [Unreadable] = []
        for file in try files() {
            do {
                parts.append(try PartInspection(path: file, storage: SystemStorage()))
            } catch {
                unreadable.append(Unreadable(path: file, reason: "\(error)"))
            }
        }
        Terminal.write(output == .json ? json(parts, unreadable) : table(parts))
        let damage = parts.flatMap { part in
            part.damage.map { "\(part.path): \($0.place): \($0.reason); it costs \($0.cost)" }
        }
        let lost = unreadable.map {
            "\($0.path): no copy of its footer can be used (\($0.reason)): all of its lines are missing from answers; "
                + "restore it from a snapshot"
        }
        guard damage.isEmpty, lost.isEmpty else {
            throw CommandFailure((damage + lost).joined(separator: "\n"))
        }
    }

    private func files() throws -> [String] {
        let storage = SystemStorage()
        for folder in [path, StoragePath.join(path, "parts"), StoragePath.join(path, "logs/parts")] {
            guard let entries = try? storage.list(folder) else { continue }
            let names = entries.filter { !$0.isFolder && PartInspection.isPart($0.name) }.map(\.name).sorted()
            if !names.isEmpty { return names.map { StoragePath.join(folder, $0) } }
        }
        if (try? storage.list(path)) != nil {
            throw CommandFailure(
                "there is no part in \(path); parts of a data folder lie in its logs/parts, the first of them when "
                    + "lines have left memory")
        }
        do {
            _ = try storage.open(path, .read).size()
        } catch {
            throw CommandFailure("there is no part at \(path): \(error)")
        }
        return [path]
    }

    // MARK: For people

    private func table(_ parts: [PartInspection]) -> String {
        var text = ""
        for part in parts {
            let size = ByteSizes.binary(Int64(clamping: part.fileBytes))
            let lineBytes = ByteSizes.binary(Int64(part.lineBytes))
            let written = Timestamps.rfc3339(nanoseconds: part.createdNanoseconds)
            text += """
                \(part.path)
                  \(size), \(part.blocks) blocks, \(part.lines) lines of \(lineBytes), \(part.templates) templates
                  log positions \(part.firstPosition) to \(part.lastPosition), written \(written)
                  \(part.origins) sources, \(part.deliveries) senders, \(part.losses) losses, \
                \(part.damage.count) damaged places

                """
            let head = ["stream", "blocks", "lines", "line bytes", "stored", "filters", "first", "last"]
            var table = TextTable(
                head, alignments: [.left, .right, .right, .right, .right, .right, .left, .left])
            for stream in part.streams where stream.blocks > 0 {
                table.append([
                    stream.labels, "\(stream.blocks)", "\(stream.lines)", "\(stream.lineBytes)",
                    "\(stream.storedBytes)", "\(stream.filterBytes)",
                    Timestamps.rfc3339(nanoseconds: stream.firstNanoseconds),
                    Timestamps.rfc3339(nanoseconds: stream.lastNanoseconds),
                ])
            }
            text += table.render()
        }
        return text
    }

    // MARK: For programs

    private func json(_ parts: [PartInspection], _ unreadable: [Unreadable]) -> String {
        var writer = JSONWriter()
        writer.beginObject()
        writer.key("parts")
        writer.beginArray()
        for part in parts { write(part, &writer) }
        writer.endArray()
        writer.key("unreadable")
        writer.beginArray()
        for part in unreadable {
            writer.beginObject()
            writer.member("path", part.path)
            writer.member("reason", part.reason)
            writer.endObject()
        }
        writer.endArray()
        writer.endObject()
        return String(decoding: writer.bytes, as: UTF8.self) + "\n"
    }

    private func write(_ part: PartInspection, _ writer: inout JSONWriter) {
        writer.beginObject()
        writer.member("path", part.path)
        writer.member("fileBytes", part.fileBytes)
        writer.member("createdNanoseconds", part.createdNanoseconds)
        writer.member("firstPosition", part.firstPosition)
        writer.member("lastPosition", part.lastPosition)
        writer.member("templates", part.templates)
        writer.member("sources", part.origins)
        writer.member("senders", part.deliveries)
        writer.member("losses", part.losses)
        writer.member("lines", part.lines)
        writer.member("linesLost", part.linesLost)
        writer.key("streams")
        writer.beginArray()
        for stream in part.streams where stream.blocks > 0 {
            writer.beginObject()
            writer.member("labels", stream.labels)
            writer.member("blocks", stream.blocks)
            writer.member("lines", stream.lines)
            writer.member("lineBytes", stream.lineBytes)
            writer.member("storedBytes", stream.storedBytes)
            writer.member("filterBytes", stream.filterBytes)
            writer.member("firstNanoseconds", stream.firstNanoseconds)
            writer.member("lastNanoseconds", stream.lastNanoseconds)
            writer.endObject()
        }
        writer.endArray()
        writer.key("damage")
        writer.beginArray()
        for damage in part.damage {
            writer.beginObject()
            writer.member("place", damage.place)
            writer.member("reason", damage.reason)
            writer.member("cost", damage.cost)
            writer.member("linesLost", damage.linesLost)
            writer.endObject()
        }
        writer.endArray()
        writer.endObject()
    }
}
