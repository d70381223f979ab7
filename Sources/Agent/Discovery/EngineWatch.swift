internal import Telemetry
internal import Wire

/// Keeps the registry in step with the engine: a whole list now and then, its event stream in between.
///
/// When the engine hangs or is absent the registry goes on with cgroups and files; that is said once.
struct EngineWatch: Sendable {
    let engine: DockerEngine
    let registry: ContainerRegistry
    let clock: any MonotonicClock
    let notices: Notices
    /// Told of each event, after the registry was brought up to date.
    let onEvent: @Sendable (EngineEvent) -> Void

    /// A list every so often repairs whatever the event stream missed.
    private static let listEveryMilliseconds = 10_000

    /// Runs until its task is cancelled.
    func run() async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await keepListing() }
            group.addTask { await followEvents() }
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

    /// Asks for details only of containers that are new or changed their state.
    private func list() async throws {
        let known = registry.engineView
        var containers: [Container] = []
        for (id, isRunning) in try await engine.list() {
            if let same = known[id], same.isRunning == isRunning {
                containers.append(same)
            } else if let container = try await engine.inspect(id) {
                containers.append(container)
            }
        }
        registry.setEngine(containers, atNanoseconds: clock.nowNanoseconds)
        guard registry.engineDataFolder == nil, let folder = try await engine.dataRoot() else { return }
        registry.setEngineDataFolder(folder)
    }

    private func followEvents() async {
        var since: Int64 = 0
        var pauseMilliseconds = 250
        while !Task.isCancelled {
            do {
                let stream = try await engine.events(sinceNanoseconds: since)
                pauseMilliseconds = 250
                // What happened before the stream was open is in a list made now.
                try await list()
                try await follow(stream, since: &since)
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
        case "create", "start", "die", "rename", "update", "pause", "unpause", "restart":
            if let container = try? await engine.inspect(event.container) {
                registry.setEngine(container, atNanoseconds: clock.nowNanoseconds)
            }
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
