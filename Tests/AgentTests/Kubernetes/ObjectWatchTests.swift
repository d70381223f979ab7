import Synchronization
import Telemetry
import Testing
import Transport
import Wire

@testable import Agent

/// The watch of the API server against one that misbehaves, over real connections.
@Suite struct ObjectWatchTests {
    private func stage(_ body: (ClusterStage, RunningWatch) async throws -> Void) async throws {
        let stage = try await ClusterStage()
        stage.change("a", uid: "u1")
        let watch = RunningWatch(stage)
        try await body(stage, watch)
        await watch.stop()
        await stage.stop()
    }

    @Test func whatIsAddedChangedAndDeletedIsFollowed() async throws {
        try await stage { stage, watch in
            #expect(await watch.knows(["a": "Running"]))
            stage.change("b", uid: "u2", phase: "Pending")
            #expect(await watch.knows(["a": "Running", "b": "Pending"]))
            stage.change("b", uid: "u2")
            stage.change("a", uid: "u1", phase: nil)
            #expect(await watch.knows(["b": "Running"]))
            // One list, from whatever the server has at hand, and one watch.
            #expect(stage.questions.count == 2)
            #expect(stage.questions[0] == "/api/v1/pods?fieldSelector=spec.nodeName%3Dn1&resourceVersion=0")
            #expect(stage.questions[1].hasSuffix("&resourceVersion=101"))
            #expect(stage.questions[1].contains("watch=1&allowWatchBookmarks=true&timeoutSeconds="))
        }
    }

    @Test func aWatchThatEndsOrIsCutWithinAnObjectGoesOnWhereItWas() async throws {
        try await stage { stage, watch in
            #expect(await watch.knows(["a": "Running"]))
            stage.state.withLock { $0.cuts = 2 }
            stage.change("b", uid: "u2")
            #expect(await watch.knows(["a": "Running", "b": "Running"]))
            stage.state.withLock { $0.ends += 1 }
            stage.change("c", uid: "u3")
            #expect(await watch.knows(["a": "Running", "b": "Running", "c": "Running"]))
            #expect(stage.questions.count { !$0.contains("watch=1") } == 1)
        }
    }

    @Test(arguments: [false, true]) func aForgottenVersionIsListedAnewNotOlderThanWhatIsKnown(
        _ within: Bool
    ) async throws {
        try await stage { stage, watch in
            #expect(await watch.knows(["a": "Running"]))
            stage.state.withLock { state in
                state.tellsWithin = within
                // While the agent was cut off: a pod came, one went, and the server forgot how.
                state.pods = ["u9": ClusterStage.pod("z", uid: "u9")]
                state.version = 500
                state.oldest = 400
                state.events = []
                state.ends += 1
            }
            #expect(await watch.knows(["z": "Running"]))
            let lists = stage.questions.filter { !$0.contains("watch=1") }
            #expect(lists.count == 3)
            // Not older than what is known; and since even that is forgotten, whatever there is.
            #expect(lists[1].hasSuffix("&resourceVersion=101"))
            #expect(lists[2].hasSuffix("=spec.nodeName%3Dn1"))
        }
    }

    @Test func anExpiredTokenIsReplacedByTheOneThatIsInTheFile() async throws {
        try await stage { stage, watch in
            #expect(await watch.knows(["a": "Running"]))
            stage.state.withLock { state in
                state.token = "second"
                state.ends += 1
            }
            #expect(await RunningWatch.holds { watch.notices.withLock { $0.contains { $0.contains("401") } } })
            stage.change("b", uid: "u2")
            stage.write("token", Array("second".utf8))
            #expect(await watch.knows(["a": "Running", "b": "Running"]))
        }
    }

    @Test func aListThatIsTooLongComesInPages() async throws {
        let stage = try await ClusterStage()
        for index in 0..<60 { stage.change("p\(index)", uid: "u\(index)") }
        stage.state.withLock { $0.isHuge = true }
        let watch = RunningWatch(stage)
        #expect(await RunningWatch.holds { watch.known.withLock { $0.count } == 60 })
        let pages = stage.questions.filter { $0.contains("limit=25") }
        #expect(pages.count == 3)
        #expect(pages.last?.contains("continue=50") == true)
        await watch.stop()
        await stage.stop()
    }

    @Test func bytesThatDripMakeTheSameObjects() async throws {
        try await stage { stage, watch in
            #expect(await watch.knows(["a": "Running"]))
            stage.state.withLock { $0.pieceBytes = 3 }
            stage.change("b", uid: "u2")
            stage.change("c", uid: "u3", phase: "Failed")
            #expect(await watch.knows(["a": "Running", "b": "Running", "c": "Failed"]))
        }
    }

    @Test func whatIsNotUnderstoodIsPassedOverOrListedAnew() async throws {
        try await stage { stage, watch in
            #expect(await watch.knows(["a": "Running"]))
            stage.tell("{\"type\":\"LATER\",\"object\":{}}\n")
            stage.tell(
                "{\"type\":\"BOOKMARK\",\"object\":{\"kind\":\"Pod\",\"metadata\":{\"resourceVersion\":\"300\"}}}\n")
            stage.state.withLock { $0.version = 300 }
            stage.change("b", uid: "u2")
            #expect(await watch.knows(["a": "Running", "b": "Running"]))
            #expect(stage.questions.count { !$0.contains("watch=1") } == 1)
            // An event that is no JSON would come again and again; a list does not have it.
            stage.tell("{\"type\":\"ADDED\",\"object\":{{}\n")
            stage.change("c", uid: "u3")
            #expect(await watch.knows(["a": "Running", "b": "Running", "c": "Running"]))
            #expect(stage.questions.count { !$0.contains("watch=1") } >= 2)
        }
    }

    @Test func aServerThatFallsSilentIsAskedAgainAndOneThatEndsAtOnceIsNotBeaten() async throws {
        let stage = try await ClusterStage()
        stage.change("a", uid: "u1")
        let watch = RunningWatch(stage, silenceMilliseconds: 60)
        #expect(await RunningWatch.holds { stage.questions.count { $0.contains("watch=1") } >= 3 })
        #expect(await watch.knows(["a": "Running"]))
        #expect(stage.questions.count { !$0.contains("watch=1") } == 1)
        let before = stage.questions.count
        stage.state.withLock { $0.shortWatches = 1_000 }
        try await Task.sleep(for: .milliseconds(200))
        // Pauses of up to 20 ms each, not a loop.
        #expect(stage.questions.count - before < 60)
        await watch.stop()
        await stage.stop()
    }

    @Test func refusalsSayWhatToDo() async throws {
        let stage = try await ClusterStage()
        stage.state.withLock { $0.refusal = 403 }
        let watch = RunningWatch(stage)
        #expect(await RunningWatch.holds { watch.notices.withLock { $0.first?.contains("ClusterRole") == true } })
        await watch.stop()
        // A server of another authority is told nothing, and no token.
        let other = try await ClusterStage()
        other.write("ca", stage.authority)
        await #expect(throws: KubernetesFailure.self) { try await other.api(ServiceAccount.apiProfile).get("/pods") }
        #expect(other.questions.isEmpty)
        await other.stop()
        await stage.stop()
    }

    @Test func failuresAreToldApart() {
        #expect(KubernetesFailure(status: 410, fields: [], body: []) == .expired)
        let large = "{\"code\":504,\"message\":\"Timeout: Too large resource version: 9, current: 5\"}"
        #expect(KubernetesFailure(status: 504, fields: [], body: Array(large.utf8)) == .expired)
        let busy = KubernetesFailure(
            status: 429, fields: [HTTPField("Retry-After", "7")], body: Array("slow down".utf8))
        #expect(busy == .busy(seconds: 7, "429 slow down"))
        #expect(KubernetesFailure(status: 401, fields: [], body: []) == .unauthorized)
    }
}
