internal import ArgumentParser
internal import Foundation

/// `vedette bench`: the micro-benchmarks of this binary on this machine.
struct BenchCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench",
        abstract: "Measure this binary on this machine.",
        discussion: Benchmarks.all.map { "  \($0.name): \($0.about)" }.joined(separator: "\n"))

    @Argument(help: "One benchmark; all when none is named.")
    var name: String?

    func run() async throws {
        let chosen = Benchmarks.all.filter { name == nil || $0.name == name }
        guard !chosen.isEmpty else {
            throw CommandFailure(
                "no benchmark \(name ?? ""); known are \(Benchmarks.all.map { $0.name }.joined(separator: ", "))")
        }
        for benchmark in chosen { try await BenchCommand.measure(benchmark) }
    }

    private static func measure<Measured: Benchmark>(_ benchmark: Measured.Type) async throws {
        let temporary = FileManager.default.temporaryDirectory
        let folder = temporary.appendingPathComponent("vedette-bench-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        var table = TextTable([Measured.name, ""], alignments: [.left, .right])
        for (what, figure) in try await Measured.run(in: folder.path) { table.append([what, figure]) }
        Terminal.write(table.render() + "\n")
    }
}
