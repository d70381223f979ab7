internal import Foundation
internal import TestSupport
internal import Testing

/// The house rules over the whole work tree. Each rule is proved on a bad example in `TidyRuleTests`.
@Suite struct TidyTests {
    @Test func sourcesKeepTheSizes() {
        expectNone((Repository.sources + Repository.tests).flatMap(TextRules.sizes))
        expectNone(Repository.sources.flatMap(TextRules.functionLengths))
    }

    @Test func sourcesMakeNoForbiddenCall() {
        expectNone(Repository.sources.flatMap { TextRules.forbidden($0) })
    }

    @Test func declarationsAreDocumented() {
        let sources = Repository.sources
        #expect(sources.count > 10, "the rule must see the sources")
        expectNone(sources.flatMap(DocumentationRules.firstDeclaration))
        expectNone(sources.flatMap(DocumentationRules.declarations))
    }

    @Test func formatPagesHaveGoldenBytes() {
        let pages = Repository.files(below: "docs/formats", suffix: ".md")
        #expect(!pages.isEmpty)
        expectNone(pages.flatMap(DocumentationRules.formatPage))
    }

    @Test func everyFuzzerIsInTheTable() throws {
        let declaration = /: Fuzzer\b[^{]*\{(?s:.*?)static let name = "([^"]+)"/
        let rooms = Repository.tests.filter { !$0.path.hasPrefix("Tests/TidyTests/") }
        let named = rooms.flatMap { file in
            file.lines.joined(separator: "\n").matches(of: declaration).map { String($0.output.1) }
        }
        #expect(named.count > 10)
        #expect(Set(named) == Set(FuzzTable.events.keys))
    }

    @Test func importsFollowTheTable() {
        let table = ImportRules.table(Repository.file("docs/ARCHITECTURE.md"))
        #expect(table.count == 11, "eleven rooms, found \(table.keys.sorted())")
        let manifest = ImportRules.manifest(Repository.file("Package.swift"), rooms: Set(table.keys))
        #expect(manifest == table)
        expectNone(Repository.sources.flatMap { ImportRules.imports($0, table: table) })
    }

    @Test func formatterIsSilent() throws {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["swift", "format", "lint", "--strict", "--recursive", "Package.swift", "Sources", "Tests"]
        process.currentDirectoryURL = Repository.root
        let pipe = Pipe()
        process.standardError = pipe
        process.standardOutput = pipe
        try process.run()
        let output = pipe.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        #expect(process.terminationStatus == 0, "\(String(decoding: output.prefix(4_000), as: UTF8.self))")
    }

    private func expectNone(_ offences: [Offence]) {
        let text = offences.prefix(40).map(\.description).joined(separator: "\n")
        #expect(offences.isEmpty, "\(offences.count) offences\n\(text)")
    }
}

/// Each rule must find what it is for, or it guards nothing.
@Suite struct TidyRuleTests {
    @Test func longLineLongFileLongFunction() {
        let long = SourceFile(path: "Sources/Disk/A.swift", text: String(repeating: "x", count: 121))
        #expect(TextRules.sizes(long).count == 1)
        let tall = SourceFile(path: "Sources/Disk/A.swift", text: String(repeating: "\n", count: 601))
        #expect(TextRules.sizes(tall).count == 1)
        let body = String(repeating: "    work()\n", count: 70)
        let function = SourceFile(path: "Sources/Disk/A.swift", text: "package static func f() {\n\(body)}\n")
        #expect(TextRules.functionLengths(function).count == 1)
    }

    @Test(arguments: [
        "let x = try! f()", "let y = x as! Int", "fatalError(\"no\")", "    print(1)", "let d = Date()",
        "clock_gettime(0, &t)", "// TODO later", "struct TextHelpers {}", "usleep(5)",
    ])
    func forbiddenCall(_ line: String) {
        #expect(TextRules.forbidden(SourceFile(path: "Sources/Disk/A.swift", text: line)).count == 1)
    }

    @Test func whatIsAllowedPasses() {
        #expect(TextRules.forbidden(SourceFile(path: "Sources/vedette/A.swift", text: "print(1)")).isEmpty)
        #expect(TextRules.forbidden(SourceFile(path: "Sources/Disk/A.swift", text: "// says print( it")).isEmpty)
        #expect(TextRules.forbidden(SourceFile(path: "Sources/Disk/A.swift", text: "footprint(1)")).isEmpty)
    }

    @Test func undocumentedDeclaration() {
        let file = SourceFile(
            path: "Sources/Disk/A.swift",
            text: "/// A.\npackage struct A {\n    package func f() {}\n}\n\npackage enum B {}\n")
        #expect(DocumentationRules.declarations(file).count == 2)
        #expect(DocumentationRules.firstDeclaration(file).isEmpty)
        let bare = SourceFile(path: "Sources/Disk/A.swift", text: "import Glibc\n\nstruct A {}\n")
        #expect(DocumentationRules.firstDeclaration(bare).count == 1)
    }

    @Test func forbiddenImportAndFormatPage() {
        let table = ["Query": Set(["Telemetry"]), "TSDB": Set<String>(), "Telemetry": Set<String>()]
        let file = SourceFile(path: "Sources/Query/A.swift", text: "internal import TSDB\nimport Telemetry\n")
        #expect(ImportRules.imports(file, table: table).count == 1)
        #expect(DocumentationRules.formatPage(SourceFile(path: "docs/formats/a.md", text: "# A\n")).count == 2)
    }
}
