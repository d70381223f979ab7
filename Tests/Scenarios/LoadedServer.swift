internal import Foundation
internal import ScenarioSupport
internal import Testing

/// A server under more than it can do: what is light is answered, what is too much is refused in words, memory stays
/// below its cap, and data is taken all the while. Speed is printed, not judged: other work may run on the machine.
@Suite(.serialized) struct LoadedServer {
    /// A query that is busy for seconds on every core.
    private static func heavy(_ number: Int) -> String {
        "sum(max_over_time(rate({job=\"load\"}[10m])[50m:200ms])) + \(number)"
    }

    // MARK: Light beside heavy

    @Test func aHeavyQueryStarvesNobody() async throws {
        try await LoadStage.play("starve", memory: "1GiB", queryTimeout: "20s") { stage in
            let alone = try await stage.lightQueries(clients: 32, seconds: 2)
            let isOver = Flag()
            let heavy = Task {
                var (count, number) = (0, 0)
                while !isOver.isSet {
                    number += 1
                    if try await stage.query(LoadedServer.heavy(number)).status == 200 { count += 1 }
                }
                return count
            }
            let (clock, cpu) = (stage.seconds, try stage.processorSeconds())
            let beside = try await stage.lightQueries(clients: 32, seconds: 5)
            let cores = (try stage.processorSeconds() - cpu) / (stage.seconds - clock)
            isOver.set()
            let answered = try await heavy.value
            print("light queries alone: \(alone)")
            print("beside a heavy one: \(beside); the server had \(cores) cores, \(answered) heavy ones answered")
            #expect(alone.failures.isEmpty && beside.failures.isEmpty, "\(alone.failures) \(beside.failures)")
            // Ten times what a loaded machine needs.
            #expect(beside.percentile(99) < 1, "\(beside)")
            #expect(answered > 0)
        }
    }

    @Test func equalQueriesShareTheirWork() async throws {
        try await LoadStage.play("share", memory: "1GiB", queryTimeout: "20s") { stage in
            let time = ("time", "\(Int(Date().timeIntervalSince1970))")
            let before = try stage.processorSeconds()
            let one = try await stage.query(LoadedServer.heavy(0), time)
            let single = try stage.processorSeconds() - before
            let answers = try await withThrowingTaskGroup(of: (status: Int, body: String).self) { group in
                for _ in 0..<16 { group.addTask { try await stage.query(LoadedServer.heavy(1), time) } }
                return try await group.reduce(into: [(status: Int, body: String)]()) { $0.append($1) }
            }
            let all = try stage.processorSeconds() - before - single
            print("one query takes \(single) s of the processor, sixteen equal ones take \(all) s")
            #expect(one.status == 200, "\(one.body.prefix(300))")
            #expect(answers.count == 16 && answers.allSatisfy { $0.status == 200 && $0.body == answers[0].body })
            let shared = try await stage.metric("vedette_queries_shared_total")
            #expect(shared >= 8, "only \(shared) of 15 were shared")
        }
    }

    // MARK: Too much

    /// Queries of people who mean harm, or have no idea; each different from the others of its kind.
    private static func hostile(_ number: Int) -> (path: String, parameters: [(String, String)]) {
        let everything = "{__name__=~\".+\"}"
        let letters = String(repeating: "(a|b|ab)*", count: 400)
        let expression =
            switch number % 10 {
            case 0: "\(everything)[30d:1s] offset \(number)ms"
            case 1: "sum_over_time(max_over_time(count(\(everything))[30d:1s])[30d:1s]) + \(number)"
            case 2:
                "label_replace(\(everything), \"x\", \"\(String(repeating: "$1", count: 60_000))\", \"__name__\", "
                    + "\"(.*)\") or vector(\(number))"
            case 3:
                "count(label_join(\(everything) offset \(number)s, \"x\", \"-\", "
                    + "\"\(String(repeating: "__name__\", \"", count: 10_000))job\"))"
            case 4: "\(everything) * on () group_left () \(everything) + \(number)"
            case 5: "topk(1000000, max_over_time(\(everything)[30d:1s])) + \(number)"
            case 6: "count_values(\"v\", max_over_time(\(everything)[30d:1s])) + \(number)"
            case 7: "count(max_over_time({__name__=~\"\(letters)\(number)\"}[30d:1ms]))"
            case 8: "quantile by (instance) (0.9, avg_over_time(\(everything)[30d:1s])) + \(number)"
            default: String(repeating: "(", count: 200_000) + "\(number)"
            }
        if number % 3 == 2 {
            let now = Int(Date().timeIntervalSince1970)
            let range = [("start", "\(now - 10_900)"), ("end", "\(now)"), ("step", "1")]
            return ("/api/v1/query_range", [("query", expression)] + range)
        }
        return ("/api/v1/query", [("query", expression)])
    }

    @Test func aHundredHostileQueriesHarmNobody() async throws {
        let cap = 512 << 20
        try await LoadStage.play("hostile", memory: "512MiB", queryTimeout: "4s") { stage in
            let idle = try stage.residentBytes()
            let watch = stage.watchMemory()
            let ingest = stage.ingestOn()
            async let beside = stage.lightQueries(clients: 8, seconds: 3)
            let answers = try await withThrowingTaskGroup(of: (Int, Int, String).self) { group in
                for number in 0..<100 {
                    let (path, parameters) = LoadedServer.hostile(number)
                    group.addTask {
                        let answer = try await stage.post(path, parameters)
                        return (number, answer.status, answer.body)
                    }
                }
                return try await group.reduce(into: [(Int, Int, String)]()) { $0.append($1) }
            }
            let light = try await beside
            let (batches, refused) = await ingest.end()
            let peak = await watch.end()
            let statuses = Dictionary(grouping: answers, by: { $0.1 }).mapValues(\.count)
            print(
                "hostile: \(statuses); resident \(idle >> 20) MiB idle, \(peak >> 20) MiB at most of \(cap >> 20); "
                    + "\(batches) batches stored meanwhile; light queries beside them: \(light)")
            #expect(peak < cap, "the process held \(peak) bytes")
            #expect(batches > 5 && refused.isEmpty, "\(batches) batches stored; \(refused)")
            #expect(light.failures.isEmpty, "\(light.failures)")
            for (number, status, body) in answers {
                let says = ["narrow", "parse error", "invalid expression type", "many-to-many matching not allowed"]
                #expect(
                    status >= 400 && says.contains { body.contains($0) },
                    "\(LoadedServer.hostile(number).parameters[0].1.prefix(90)): \(status) \(body.prefix(300))")
            }
            #expect(try await stage.vedette.get("/-/ready").status == 200)
        }
    }

    // MARK: Clients that leave

    @Test func whatNobodyWaitsForStops() async throws {
        try await LoadStage.play("leave", memory: "1GiB", queryTimeout: "60s") { stage in
            try await stage.pushLines(count: 120_000)
            let now = Int(Date().timeIntervalSince1970)
            let range = [("start", "\(now - 3_000)"), ("end", "\(now)"), ("step", "1")]
            let everything = [(String, String)](repeating: ("match[]", "{__name__=~\".+\"}"), count: 2_000)
            let hours = [("start", "\(now - 7_200)"), ("end", "\(now + 60)")]
            let counts = "sum by (b) (count_over_time({app=\"load\"} | json [1h]))"
            let upper = "{app=\"load\"} | json | line_format \"{{ .b | ToUpper | TrimSpace | Replace `A` `b` 5 }}\""
            let routes: [(method: String, path: String, parameters: [(String, String)])] = [
                ("POST", "/api/v1/query", [("query", LoadedServer.heavy(7))]),
                ("POST", "/api/v1/query_range", [("query", "quantile_over_time(0.9, {job=\"load\"}[50m])")] + range),
                ("POST", "/loki/api/v1/query_range", [("query", counts), ("step", "1")] + hours),
                ("POST", "/loki/api/v1/query_range", [("query", upper), ("limit", "0")] + hours),
                ("POST", "/api/v1/series", everything), ("GET", "/federate", Array(everything.prefix(900))),
                ("POST", "/api/v1/logs/lines", [("query", "{app=\"load\"}"), ("before", "20")] + hours),
            ]
            for (method, path, parameters) in routes {
                let busy = try await stage.processorSecondsAfterLeaving(method, path, parameters)
                print("\(path): \(busy.before) s of the processor before the client left, \(busy.after) s after 100 ms")
                #expect(busy.before > 0, "\(path) had nothing to do")
                #expect(busy.after <= 0.04, "\(path) went on for \(busy.after) s")
                await expectSoon("no query is listed any more", seconds: 2) {
                    try await stage.vedette.json("/api/v1/status/queries")["data"].array.isEmpty
                }
            }
        }
    }

    // MARK: Long answers

    @Test func aWholeRangeOfLinesIsStreamed() async throws {
        try await LoadStage.play("stream", memory: "512MiB", queryTimeout: "20s") { stage in
            let count = 150_000
            try await stage.pushLines(count: count)
            let idle = try stage.residentBytes()
            let watch = stage.watchMemory()
            let answer = try await stage.vedette.json(
                "/loki/api/v1/query_range",
                ["query": "{app=\"load\"}", "since": "2h", "limit": "0", "direction": "forward"])
            let peak = await watch.end()
            let data = answer["data"]
            let streams = data["result"].array
            let times = streams.flatMap { $0["values"].array.map { $0[0].string } }
            print("\(times.count) lines in \(streams.count) objects; resident \(idle >> 20) MiB, at most \(peak >> 20)")
            #expect(times.count == count && Set(times).count == count)
            #expect(streams.allSatisfy { $0["stream"]["app"].string == "load" })
            #expect(data["stats"]["summary"]["totalEntriesReturned"].number == Double(count))
            #expect(peak - idle < 96 << 20, "\((peak - idle) >> 20) MiB for a long answer")
        }
    }
}
