internal import Synchronization
internal import Telemetry
internal import Wire

/// Keeps the registry in step with the engine: a whole list now and then, its event stream in between.
///
/// An event is believed at once, by the engine's own file where it keeps one: its answers may take seconds on a busy
/// host, and a container's life may be shorter. When the engine hangs or is absent the registry goes on with cgroups
/// and files; that is said once.
struct EngineWatch: Sendable {
    let engine: DockerEngine
    let registry: ContainerRegistry
    let clock: any MonotonicClock
    let notices: Notices
    /// Reads what the engine wrote down about a container; nil where it keeps no such file.
    let readFile: @Sendable (String) async -> Container?
    /// Told of each event, before anybody is asked about it.
    let onEvent: @Sendable (EngineEvent) -> Void
    private let questions = OpenQuestions()

    /// A list every so often repairs whatever the event stream missed.
    private static let listEveryMilliseconds = 10_000

    /// Many containers change at once when a host boots; the engine has others to serve.
    private static let questionsAtOnceMaximum = 4

    /// Runs until its task is cancelled.
    func run() async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await keepListing() }
            group.addTask { await followEvents() }
            group.addTask { await answerQuestions() }
        }
    }

    private func keepListing() async {
        while !Task.isCancelled {
            do {
                try await list()
                notices.settle("engine")
            } catch {
                say(error)
                registry.refresh(atNanoseconds: clock.nowNanoseconds)
            }
            try? await Task.sleep(for: .milliseconds(Self.listEveryMilliseconds))
        }
    }

    /// Looks closer only at containers that are new, changed their state, or are in doubt: into the engine's file where
    /// that agrees with the list, else by asking.
    func list() async throws {
        let asked = clock.nowNanoseconds
        let listed = try await engine.list()
        if registry.engineDataFolder == nil, let folder = try await engine.dataRoot() {
            registry.setEngineDataFolder(folder)
        }
        var found: [Container] = []
        var open: [String] = []
        for (id, isRunning) in listed where !registry.isSettled(id, isRunning: isRunning) {
            if let container = await readFile(id), container.isRunning == isRunning {
                found.append(container)
            } else {
                open.append(id)
            }
        }
        registry.setEngine(
            list: Set(listed.map(\.id)), found: found, askedNanoseconds: asked, atNanoseconds: clock.nowNanoseconds)
        await ask(open)
    }

    private func answerQuestions() async {
        for await _ in questions.arrivals { await ask(questions.take()) }
    }

    /// Asks the engine about containers, each for itself: it may hang over one of them and answer about all others.
    private func ask(_ ids: some Sequence<String>) async {
        await withTaskGroup(of: Void.self) { group in
            for (index, id) in ids.enumerated() {
                if index >= Self.questionsAtOnceMaximum { await group.next() }
                group.addTask { await ask(id) }
            }
        }
    }

    private func ask(_ id: String) async {
        let asked = clock.nowNanoseconds
        let subject = "engine container \(id)"
        do {
            guard let container = try await engine.inspect(id) else { return }
            notices.settle(subject)
            registry.setEngine(container, askedNanoseconds: asked, atNanoseconds: clock.nowNanoseconds)
        } catch {
            // The next list asks again, even when the container's state looks the same by then.
            registry.doubtEngine(id)
            guard !Task.isCancelled else { return }
            notices.say(
                .warning, about: subject,
                """
                the container engine at \(engine.endpoint) does not describe container \(id.prefix(12)) (\(error)); \
                it is known by its cgroup and the engine's file until it does
                """)
        }
    }

    private func followEvents() async {
        var since: Int64 = 0
        var pauseMilliseconds = 250
        while !Task.isCancelled {
            do {
                let stream = try await engine.events(sinceNanoseconds: since)
                pauseMilliseconds = 250
                try await withThrowingTaskGroup(of: Void.self) { group in
                    // What happened before the stream was open is in a list made now.
                    group.addTask { try await list() }
                    try await follow(stream, since: &since)
                    group.cancelAll()
                }
            } catch {
                say(error)
            }
            try? await Task.sleep(for: .milliseconds(pauseMilliseconds))
            pauseMilliseconds = min(pauseMilliseconds * 2, 5_000)
        }
    }

    private func follow(_ stream: any HTTPStream, since: inout Int64) async throws {
        var pending: [UInt8] = []
        while let piece = try await stream.next() {
            pending.append(contentsOf: piece)
            while let end = pending.firstIndex(of: UInt8(ascii: "\n")) {
                let line = Array(pending[..<end])
                pending.removeSubrange(...end)
                guard let json = try? JSONValue(parsing: line), let event = EngineEvent(json) else { continue }
                since = max(since, event.nanoseconds + 1)
                await handle(event)
            }
            // No event is nearly as long; a peer that sends no line end must not fill the memory.
            if pending.count > 1 << 20 { pending.removeAll() }
        }
    }

    private func handle(_ event: EngineEvent) async {
        onEvent(event)
        switch event.action {
        case "destroy": registry.removeFromEngine(event.container, atNanoseconds: clock.nowNanoseconds)
        case "create", "start", "die", "rename", "update", "pause", "unpause", "restart", "health_status":
            let asked = clock.nowNanoseconds
            if let container = await readFile(event.container) {
                registry.setEngineFile(container, askedNanoseconds: asked, atNanoseconds: clock.nowNanoseconds)
            }
            questions.add(event.container)
        default: break
        }
    }

    private func say(_ error: any Error) {
        guard !Task.isCancelled else { return }
        notices.say(
            .warning, about: "engine",
            """
            the container engine at \(engine.endpoint) does not answer (\(error)); containers are found by their \
            cgroups and the engine's files until it does
            """)
    }
}

/// Containers the engine is to be asked about, each once however often it changed meanwhile.
private final class OpenQuestions: Sendable {
    private let ids = Mutex<Set<String>>([])
    private let arrival: AsyncStream<Void>.Continuation
    /// Gives something whenever there may be a question.
    let arrivals: AsyncStream<Void>

    init() {
        (arrivals, arrival) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    func add(_ id: String) {
        ids.withLock { _ = $0.insert(id) }
        arrival.yield()
    }

    func take() -> Set<String> {
        ids.withLock { ids in
            defer { ids = [] }
            return ids
        }
    }
}

/// One message of the engine's event stream about a container.
struct EngineEvent: Sendable, Equatable {
    /// "start", "die", "oom", …; "health_status: healthy" is cut at the colon.
    var action: String
    /// Behind the colon of the action, or empty.
    var detail: String
    var container: String
    var nanoseconds: Int64
    /// The exit code of "die".
    var exitCode: Int?

    /// Whether a health check failed as often as it may.
    var isUnhealthy: Bool { action == "health_status" && detail == "unhealthy" }

    /// Nil when it is no message about a container.
    init?(_ json: JSONValue) {
        guard json["Type"]?.text == "container", let action = json["Action"]?.text ?? json["status"]?.text,
            let id = json["Actor"]?["ID"]?.text ?? json["id"]?.text, ContainerPath.identifier(in: id) == id
        else { return nil }
        let parts = action.split(separator: ":", maxSplits: 1).map { $0.drop { $0 == " " } }
        self.action = String(parts.first ?? "")
        detail = parts.count > 1 ? String(parts[1]) : ""
        container = id
        nanoseconds = json["timeNano"]?.wholeNumber ?? 0
        exitCode = json["Actor"]?["Attributes"]?["exitCode"]?.text.flatMap { Int($0) }
    }
}
