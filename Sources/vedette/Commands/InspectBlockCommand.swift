internal import ArgumentParser
internal import Disk
internal import TSDB
internal import Telemetry

/// `vedette inspect block`: metric blocks, down to every column.
struct InspectBlockCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "block",
        abstract: "Show what is inside metric blocks, check every checksum, decode every column.",
        discussion: "Reads only, also beside a running server. Exits with 1 when something is damaged, and says which "
            + "series and times are lost by it.")

    @Argument(help: "A block file, or a folder of them, for example ./vedette-data.")
    var path: String

    @Option(name: [.short, .long], help: "How to print the answer: table or json.")
    var output: OutputFormat = .table

    func run() throws {
        let storage = SystemStorage()
        let files: [String]
        do {
            files = try BlockInspection.files(at: path, in: storage)
        } catch {
            throw CommandFailure("there is no block at \(path): \(error)")
        }
        guard !files.isEmpty else {
            throw CommandFailure(
                "there is no block in \(path); blocks of a data folder lie in its metrics/blocks, the first of them "
                    + "when samples have left memory")
        }
        var damaged = 0
        var writer = JSONWriter()
        if output == .json { writer.beginArray() }
        for file in files {
            let inspection = Result { try BlockInspection(file, in: storage) }
            if (try? inspection.get().damage.isEmpty) != true { damaged += 1 }
            switch output {
            case .table: Terminal.write(Self.text(of: inspection, file))
            case .json: Self.write(inspection, file, to: &writer)
            }
        }
        if output == .json {
            writer.endArray()
            Terminal.write(String(decoding: writer.bytes, as: UTF8.self) + "\n")
        }
        if damaged > 0 {
            throw CommandFailure(
                "\(damaged) of \(files.count) blocks are damaged; the rest of them is read by the server, restore the "
                    + "files from a copy")
        }
    }

    private static func text(of inspection: Result<BlockInspection, any Error>, _ file: String) -> String {
        switch inspection {
        case .failure(let error): return "\(file)\n  damaged: \(error); all samples of the block are lost\n\n"
        case .success(let block):
            var text = "\(file)\n  \(ByteSizes.binary(Int64(clamping: block.byteCount))), "
            text += "format \(block.formatVersion), "
            text += block.level == 0 ? "a flush\n" : "merged, level \(block.level)\n"
            text += "  \(Timestamps.rfc3339(milliseconds: block.times.startMilliseconds)) to "
            text += "\(Timestamps.rfc3339(milliseconds: block.times.endMilliseconds)), \(block.seriesCount) series, "
            text += "\(block.sampleCount) samples"
            if block.sampleCount > 0 {
                let perSample = Double(block.byteCount) / Double(block.sampleCount)
                text += ", \(BenchText.rate(perSample)) bytes per sample"
            }
            text += "\n\n" + parts(of: block) + "\n" + groups(of: block)
            for line in block.damage { text += "  damaged: \(line)\n" }
            return text + "\n"
        }
    }

    private static func parts(of block: BlockInspection) -> String {
        var table = TextTable(
            ["  what", "columns", "samples", "bytes", "bytes per sample"],
            alignments: [.left, .right, .right, .right, .right])
        for part in block.columns {
            let perSample = part.samples > 0 ? BenchText.rate(Double(part.bytes) / Double(part.samples)) : ""
            table.append([
                "  \(part.name)", part.columns > 0 ? "\(part.columns)" : "", part.samples > 0 ? "\(part.samples)" : "",
                "\(part.bytes)", perSample,
            ])
        }
        for part in block.sections { table.append(["  index: \(part.name)", "", "", "\(part.bytes)", ""]) }
        return table.render()
    }

    /// More groups than this are told as a number.
    private static let groupsShown = 20

    private static func groups(of block: BlockInspection) -> String {
        var table = TextTable(
            ["  target", "series", "strips", "samples", "bytes"],
            alignments: [.left, .right, .right, .right, .right])
        for group in block.groups.sorted(by: { $0.bytes > $1.bytes }).prefix(groupsShown) {
            let figures = [group.series, group.strips, group.samples, group.bytes].map { "\($0)" }
            table.append(["  \(group.target)"] + figures)
        }
        let rest = block.groups.count - groupsShown
        return table.render() + (rest > 0 ? "  and \(rest) smaller targets\n" : "")
    }

    private static func write(
        _ inspection: Result<BlockInspection, any Error>, _ file: String, to writer: inout JSONWriter
    ) {
        writer.beginObject()
        writer.member("path", file)
        switch inspection {
        case .failure(let error):
            writer.key("damage")
            writer.beginArray()
            writer.string("\(error); all samples of the block are lost")
            writer.endArray()
        case .success(let block):
            writer.member("formatVersion", block.formatVersion)
            writer.member("bytes", Int(clamping: block.byteCount))
            writer.member("level", block.level)
            writer.member("minTime", block.times.startMilliseconds)
            writer.member("maxTime", block.times.endMilliseconds)
            writer.member("series", block.seriesCount)
            writer.member("samples", block.sampleCount)
            write("columns", block.columns, to: &writer)
            write("sections", block.sections, to: &writer)
            writer.key("groups")
            writer.beginArray()
            for group in block.groups {
                writer.beginObject()
                writer.member("target", "\(group.target)")
                writer.member("series", group.series)
                writer.member("strips", group.strips)
                writer.member("samples", group.samples)
                writer.member("bytes", group.bytes)
                writer.endObject()
            }
            writer.endArray()
            writer.key("damage")
            writer.beginArray()
            for line in block.damage { writer.string(line) }
            writer.endArray()
        }
        writer.endObject()
    }

    private static func write(_ name: String, _ parts: [BlockInspection.Part], to writer: inout JSONWriter) {
        writer.key(name)
        writer.beginArray()
        for part in parts {
            writer.beginObject()
            writer.member("name", part.name)
            writer.member("columns", part.columns)
            writer.member("samples", part.samples)
            writer.member("bytes", part.bytes)
            writer.endObject()
        }
        writer.endArray()
    }
}
