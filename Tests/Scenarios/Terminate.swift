internal import Dispatch
internal import Glibc
internal import ScenarioSupport
internal import Testing

/// SIGTERM under load: what was acknowledged is there after the restart, and the process was gone in time.
@Suite(.serialized) struct Terminate {
    @Test(.enabled(if: access(Loader.path, X_OK) == 0, "\(Loader.path) is not built"))
    func underLoad() async throws {
        try await ServerStage.play("term") { stage in
            var before: LoadReport?
            for run in 1...4 {
                let load = try Loader.start(run, against: stage.vedette, logPath: stage.scratch.file("load.\(run)"))
                let isUnderLoad = await eventually(seconds: 20) {
                    LoadReport(load.output).acknowledged.count == 2 || !load.isRunning
                }
                #expect(isUnderLoad && load.isRunning, "\(load.output)")
                try await Task.sleep(nanoseconds: UInt64.random(in: 50...600) * 1_000_000)
                let start = DispatchTime.now().uptimeNanoseconds
                stage.vedette.process.signal(SIGTERM)
                let hasLeft = await stage.vedette.process.waitForEnd(seconds: 15)
                let seconds = Double(DispatchTime.now().uptimeNanoseconds - start) / 1e9
                #expect(hasLeft && seconds < 10, "it took \(seconds) s")
                #expect(stage.vedette.process.status == 0, "\(stage.vedette.process.output.suffix(2_000))")
                // The loader ends by itself: its server is gone.
                #expect(await load.waitForEnd(seconds: 10))
                let report = LoadReport(load.output)
                if let before { #expect(report.complaints(after: before.acknowledged) == []) }
                before = report
                try await stage.vedette.restart()
            }
            let last = try Loader.start(5, against: stage.vedette, logPath: stage.scratch.file("load.5"))
            let hasReported = await eventually(seconds: 20) { LoadReport(last.output).acknowledged.count == 2 }
            await last.stop()
            #expect(hasReported, "\(last.output)")
            #expect(LoadReport(last.output).complaints(after: before?.acknowledged ?? [:]) == [])
        }
    }
}
