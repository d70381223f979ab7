import Glibc
import Telemetry
import TestSupport
import Testing

@testable import Agent

/// Which log files there are, and what their lines are labelled with.
@Suite struct FileLogSourceTests {
    private static func context(_ settings: LogSettings) -> FileLogContext {
        FileLogContext(host: HostRoot(), node: "n", settings: settings, notices: Fixture.quiet)
    }

    @Test func sandboxesOfMesosHaveTwoFilesAndANameThatStays() throws {
        let scratch = ScratchFolder()
        var path = ""
        let run = "0a0b0c0d-0000-0000-0000-000000000000"
        for part in ["slaves", "S0", "frameworks", "F0", "executors", "shop_cart.instance-1._app.2", "runs", run] {
            path += path.isEmpty ? part : "/\(part)"
            scratch.makeFolder(path)
        }
        symlink(run, "\(scratch.path)/slaves/S0/frameworks/F0/executors/shop_cart.instance-1._app.2/runs/latest")
        var settings = LogSettings()
        settings.mesosFolder = scratch.path
        let source = try #require(MesosLogFiles(Self.context(settings)))
        let logs = source.logs(ContainerRegistry.Snapshot())
        #expect(logs.count == 2)
        #expect(logs.first?.labels[0]["service"] == "shop_cart")
        #expect(logs.map { $0.labels[0]["stream"] } == ["stdout", "stderr"])
        // New executors and new runs are seen at once.
        #expect(source.folders.contains("\(scratch.path)/slaves/S0/frameworks/F0/executors"))
    }

    @Test func aPatternTakesNeitherArchivesNorWhatWasRotatedAway() throws {
        let scratch = ScratchFolder()
        for name in ["app.log", "app.log.1", "app.log.2.gz", "app.log-20260101", "db.log", "db.log.tmp", "other.txt"] {
            scratch.write("x\n", to: name)
        }
        var settings = LogSettings()
        settings.files = [
            LogSettings.Files(pattern: "\(scratch.path)/*log*", labels: ["service": "shop", "team": "a"])
        ]
        let source = try #require(PlainLogFiles(Self.context(settings)))
        let logs = source.logs(ContainerRegistry.Snapshot())
        #expect(logs.map { $0.path.dropFirst(scratch.path.count + 1) } == ["app.log", "db.log"])
        #expect(logs.first?.labels[0]["service"] == "shop")
        #expect(logs.first?.labels[0]["team"] == "a")
        #expect(source.folders.contains(scratch.path))
    }

    @Test func nothingIsFollowedThatIsNotConfiguredOrNotThere() {
        var settings = LogSettings()
        (settings.podFolder, settings.mesosFolder) = ("", "/nowhere")
        #expect(PodLogFiles(Self.context(settings)) == nil)
        #expect(PlainLogFiles(Self.context(settings)) == nil)
        #expect(MesosLogFiles(Self.context(settings))?.logs(ContainerRegistry.Snapshot()).isEmpty == true)
    }
}
