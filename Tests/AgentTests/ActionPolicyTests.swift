import Glibc
import Telemetry
import Testing
import Wire

@testable import Agent

/// The host's allow-list: what it says, who may have written it, and what it makes of commands.
@Suite struct ActionPolicyTests {
    private static let text = """
        actions:
          - action: container.restart
            targets:
              - service: shop/*
                image: "cart:*"
              - labels: {heal: "yes"}
            grace: {min: 1s, max: 20s}
            limit: 2/10m
            total_limit: 3/1h
        """

    private static func container(service: String = "shop/cart", image: String = "cart:1") -> Container {
        var container = Container(id: String(repeating: "c", count: 64))
        container.labels = ["vedette.service": service]
        container.image = image
        container.isRunning = true
        container.startedNanoseconds = 1_000_000_000
        return container
    }

    private static func command(
        _ id: String = "1", action: String = "container.restart", target: String? = nil,
        arguments: [String: String] = [:], expires: Int64 = 1_000
    ) -> AgentCommand {
        AgentCommand(
            id: id, action: action, target: target ?? container().id, arguments: arguments,
            expiresNanoseconds: expires)
    }

    private static func refusal(
        of command: AgentCommand, _ container: Container? = container(), ledger: CommandLedger = CommandLedger(),
        at now: Int64 = 0, policy: String = text
    ) throws -> String? {
        let decision = CommandDecision.decide(
            command, policy: try ActionPolicy(parsing: policy, file: "actions.yml"), ledger: ledger,
            container: { $0 == container?.id ? container : nil }, atNanoseconds: now)
        if case .refuse(let reason, _) = decision { return reason }
        return nil
    }

    @Test func whatTheFileSaysIsAllowedAndNothingElse() throws {
        #expect(try Self.refusal(of: Self.command()) == nil)
        #expect(try Self.refusal(of: Self.command(target: "/docker/\(Self.container().id)")) == nil)
        // All conditions of one selector must hold.
        #expect(try Self.refusal(of: Self.command(), Self.container(image: "evil:1"))?.contains("not allowed") == true)
        #expect(try Self.refusal(of: Self.command(), Self.container(service: "bank/cart")) != nil)
        var labelled = Self.container(service: "other")
        labelled.labels["heal"] = "yes"
        #expect(try Self.refusal(of: Self.command(), labelled) == nil)
        #expect(try Self.refusal(of: Self.command(), policy: "actions: []")?.contains("observes only") == true)
    }

    @Test func aCommandThatIsLateUnknownOrOutOfBoundsIsRefused() throws {
        #expect(try Self.refusal(of: Self.command(), at: 1_001)?.contains("too late") == true)
        #expect(try Self.refusal(of: Self.command(action: "host.reboot"))?.contains("knows no action") == true)
        #expect(try Self.refusal(of: Self.command(arguments: ["force": "1"]))?.contains("no argument") == true)
        #expect(try Self.refusal(of: Self.command(target: "web"))?.contains("no container") == true)
        #expect(try Self.refusal(of: Self.command(arguments: ["grace": "21s"]))?.contains("1s to 20s") == true)
        #expect(try Self.refusal(of: Self.command(arguments: ["grace": "0"])) != nil)
        #expect(try Self.refusal(of: Self.command(arguments: ["grace": "20"])) == nil)
        #expect(try Self.refusal(of: Self.command(arguments: ["started_at": "1970-01-01T00:00:01Z"])) == nil)
        #expect(try Self.refusal(of: Self.command(arguments: ["started_at": "1970-01-01T00:00:00Z"])) != nil)
    }

    @Test func limitsHoldPerTargetAndForTheHostAlsoAfterARestart() throws {
        var ledger = CommandLedger()
        for number in 0..<2 {
            ledger.begin(Self.command("\(number)"), target: Self.container().id, atNanoseconds: 0, refusal: nil)
        }
        let read = try CommandLedger(decoding: ledger.encoded)
        #expect(read == ledger)
        #expect(try Self.refusal(of: Self.command("9"), ledger: read)?.contains("2 in 10m") == true)
        // A clock that jumped back does not open the limit.
        #expect(try Self.refusal(of: Self.command("9"), ledger: read, at: -1_000_000_000_000) != nil)
        let later: Int64 = 601_000_000_000
        #expect(try Self.refusal(of: Self.command("9", expires: .max), ledger: read, at: later) == nil)
        ledger.begin(Self.command("x"), target: "another", atNanoseconds: later, refusal: nil)
        #expect(
            try Self.refusal(of: Self.command("9", expires: .max), ledger: ledger, at: later)?.contains("host") == true)
    }

    @Test func refusedCommandsDoNotCountAndInterruptedOnesAreNotDoneAgain() throws {
        var ledger = CommandLedger()
        let refusal = CommandReport(id: "1", outcome: .refused, reason: "no", nanoseconds: 0)
        for number in 0..<5 {
            ledger.begin(Self.command("\(number)"), target: Self.container().id, atNanoseconds: 0, refusal: refusal)
        }
        #expect(try Self.refusal(of: Self.command("9"), ledger: ledger) == nil)
        ledger.begin(Self.command("7"), target: Self.container().id, atNanoseconds: 0, refusal: nil)
        var read = try CommandLedger(decoding: ledger.encoded)
        #expect(read.interrupted.map(\.id) == ["7"])
        #expect(!read.unreported.contains { $0.id == "7" })
        read.finish(CommandReport(id: "7", outcome: .failed, reason: "not done", nanoseconds: 5))
        #expect(read.unreported.contains { $0.id == "7" })
        read.reported(["7"])
        #expect(!read.unreported.contains { $0.id == "7" })
        var damaged = ledger.encoded
        damaged[20] ^= 1
        #expect(throws: ByteError.self) { try CommandLedger(decoding: damaged) }
    }

    @Test(arguments: [
        ("actions:\n  - action: container.restart\n    targets: []\n    limit: 1/1h", "no target"),
        (
            "actions:\n  - action: container.restart\n    targets: [{}]\n    limit: 1/1h",
            "every container"
        ),
        (
            "actions:\n  - action: container.restart\n    targets: [{name: \"\"}]\n    limit: 1/1h",
            "empty pattern"
        ),
        ("actions:\n  - action: container.restart\n    targets: [{name: a}]", "limit"),
        (
            "actions:\n  - action: container.explode\n    targets: [{name: a}]\n    limit: 1/1h",
            "no action"
        ),
        ("actions:\n  - action: container.restart\n    target: [{name: a}]\n    limit: 1/1h", "target"),
        ("actions:\n  - action: container.restart\n    targets: [{nmae: a}]\n    limit: 1/1h", "nmae"),
        ("actions:\n  - action: container.restart\n    targets: [{name: a}]\n    limit: 0/1h", ""),
        (
            "actions:\n  - action: container.restart\n    targets: [{name: a}]\n    limit: 1/1ms",
            "1s to 30d"
        ),
        ("allow: everything", "allow"),
    ])
    func aTypingErrorIsAnErrorWithItsLineAndAllowsNothing(_ text: String, _ words: String) throws {
        do {
            _ = try ActionPolicy(parsing: text, file: "actions.yml")
            Issue.record("read without complaint: \(text)")
        } catch {
            #expect(error.description.hasPrefix("actions.yml:"))
            #expect(words.isEmpty || error.description.contains(words), "\(error)")
        }
    }

    @Test func onlyAFileThatRootAloneCanWriteCounts() throws {
        typealias Facts = ActionPolicyFile.Facts
        let good = Facts(kind: .file, owner: 0, mode: 0o644)
        let folder = Facts(kind: .folder, owner: 0, mode: 0o755)
        func load(_ file: Facts?, parent: Facts = folder) throws -> ActionPolicy {
            try ActionPolicyFile(
                path: "/etc/vedette/actions.yml",
                facts: { path in path == "/etc/vedette/actions.yml" ? file : path == "/etc/vedette" ? parent : folder },
                read: { _ in file.map { ($0, Self.text) } }
            ).load()
        }
        #expect(try load(good).permissions.count == 1)
        #expect(try load(nil) == .observeOnly)
        for bad in [
            Facts(kind: .file, owner: 1000, mode: 0o644), Facts(kind: .file, owner: 0, mode: 0o664),
            Facts(kind: .file, owner: 0, mode: 0o646), Facts(kind: .other, owner: 0, mode: 0o777),
            Facts(kind: .folder, owner: 0, mode: 0o755),
        ] {
            #expect(throws: ActionPolicyFile.Refusal.self) { _ = try load(bad) }
        }
        for bad in [
            Facts(kind: .folder, owner: 0, mode: 0o777), Facts(kind: .folder, owner: 1000, mode: 0o1777),
            Facts(kind: .other, owner: 0, mode: 0o755),
        ] {
            #expect(throws: ActionPolicyFile.Refusal.self) { _ = try load(good, parent: bad) }
        }
        // In a sticky folder nobody but root can move what belongs to root.
        #expect(throws: Never.self) { try load(good, parent: Facts(kind: .folder, owner: 0, mode: 0o1777)) }
        #expect(throws: ActionPolicyFile.Refusal.self) { _ = try ActionPolicyFile(path: "actions.yml").load() }
        // The real thing: a folder that everybody may write is in the way.
        let scratch = ScratchFolder()
        scratch.write(Self.text, to: "actions.yml")
        #expect(chmod(scratch.path, 0o777) == 0)
        #expect(throws: ActionPolicyFile.Refusal.self) {
            _ = try ActionPolicyFile(path: "\(scratch.path)/actions.yml").load()
        }
    }

    @Test func patternsMatchTheWholeText() {
        #expect(GlobPattern.matches("shop/*", "shop/cart"))
        #expect(GlobPattern.matches("*", ""))
        #expect(GlobPattern.matches("a*b*c", "a--b--b--c"))
        #expect(GlobPattern.matches("web-?", "web-1"))
        #expect(!GlobPattern.matches("web", "web-1"))
        #expect(!GlobPattern.matches("a*b", "a"))
        #expect(!GlobPattern.matches(String(repeating: "*a", count: 200) + "b", String(repeating: "a", count: 2_000)))
    }
}
