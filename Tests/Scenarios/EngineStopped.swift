internal import Glibc
internal import ScenarioSupport
internal import Testing

/// The engine hangs (SIGSTOP): the kernel's notifications alone still tell of the OOM kill.
@Suite(.serialized) struct EngineStopped {
    @Test(.enabled(if: DockerEngine.reasonForAbsence == nil, "\(DockerEngine.reasonForAbsence ?? "")"))
    func oomIsSeenAllTheSame() async throws {
        let stage = try await HealingStage.set("stop")
        do {
            let script = """
                echo started; n=0; while [ $n -lt 60 ]; do n=$((n+1)); sleep 0.1; done
                x=a; while :; do x=$x$x; done
                """
            let id = try stage.engine.runContainer(name: "web", memoryMegabytes: 32, script: script)
            let counter = "container_oom_events_total{name=\"web\"}"
            let exists = await eventually(seconds: 15) { (try? await stage.vedette.instant(counter).first?.value) == 0 }
            #expect(exists)
            kill(stage.engine.pid, SIGSTOP)
            let seen = await eventually(seconds: 30) { (try? await stage.vedette.instant(counter).first?.value) == 1 }
            #expect(seen, "the counter must rise with the engine stopped")
            let told = await eventually(seconds: 10) {
                stage.provider.accepted(status: "firing").contains { $0.body.contains(id) }
            }
            #expect(told)
            kill(stage.engine.pid, SIGCONT)
        } catch {
            Issue.record("\(error)\n\(stage.vedette.process.output.suffix(4_000))")
        }
        await stage.strike()
    }
}
