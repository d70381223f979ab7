internal import Telemetry
internal import Wire

/// Follows the objects of one kind at the API server until its task is cancelled.
struct ObjectWatch<Object: Sendable>: Sendable {
    /// How patient it is; tests are not.
    struct Patience: Sendable {
        var firstPauseMilliseconds = 500
        var lastPauseMilliseconds = 30_000
        /// A server tells where it is about once in a minute, so that a connection that died is noticed.
        var silenceMilliseconds: Int64 = 150_000
        /// A watch that ends earlier without a word is a failure.
        var shortMilliseconds: Int64 = 1_000
        /// How long the server is asked to go on, at least; half as much again at most, so that not all end at once.
        var watchSeconds = 300
    }

    let api: KubernetesAPI
    /// For example `/api/v1/pods`.
    let path: String
    /// Which of them: `spec.nodeName=worker-1`.
    let selector: String
    let clock: any MonotonicClock
    let notices: Notices
    var patience = Patience()
    /// Reads an object and what tells it apart; nil for one that is none.
    let read: @Sendable (JSONValue) -> (key: String, object: Object)?
    /// Told of all objects whenever they changed, and of nil whenever the server said anything at all.
    let publish: @Sendable ([String: Object]?) -> Void

    /// A longer line is no object: those are at most one and a half megabytes.
    private static var lineBytesMaximum: Int { 8 << 20 }

    /// Asks on and on.
    func run() async {
        var state = WatchedObjects<Object>()
        var backoff = Backoff(
            firstMilliseconds: patience.firstPauseMilliseconds, lastMilliseconds: patience.lastPauseMilliseconds)
        var generator = SystemRandomNumberGenerator()
        while !Task.isCancelled {
            var seconds = 0
            do {
                try await ask(&state)
                backoff.reset()
                notices.settle(path)
                continue
            } catch let failure as KubernetesFailure {
                switch failure {
                case .expired: state.expired()
                case .tooLarge: state.tooLarge()
                case .unreadable: state.unreadable()
                case .busy(let asked, _): seconds = asked
                default: break
                }
                say(failure)
            } catch {
                guard !Task.isCancelled else { return }
                say(.other("\(error)"))
            }
            // Also after a 410: ten thousand agents whose server was restarted must not list at once.
            let pause = backoff.next(atLeastSeconds: seconds, using: &generator)
            try? await Task.sleep(for: .milliseconds(pause))
        }
    }

    private func ask(_ state: inout WatchedObjects<Object>) async throws {
        switch state.question {
        case .list(let version, let page):
            var items: [(String, String)] = version.isEmpty ? [] : [("resourceVersion", version)]
            if let page { items.append(("limit", "\(page.size)")) }
            if let token = page?.token { items.append(("continue", token)) }
            try takeList(try await api.get(target(items)), &state)
        case .watch(let version): try await follow(version, &state)
        }
    }

    private func takeList(_ body: [UInt8], _ state: inout WatchedObjects<Object>) throws {
        var objects: [String: Object] = [:]
        var strangers = 0
        let end: (version: String, token: String)
        do {
            end = try TrimmedJSON.list(body) { json in
                if let (key, object) = read(json) { objects[key] = object } else { strangers += 1 }
            }
        } catch {
            throw KubernetesFailure.other("the list is not understood: \(error)")
        }
        if strangers > 0 {
            notices.say(
                .warning, about: "objects of \(path)",
                "\(strangers) objects of \(api.endpoint)\(path) have no name or uid and are left out")
        }
        state.take(list: objects, version: end.version, token: end.token)
        publish(state.isWhole ? state.objects : nil)
    }

    /// Follows a watch to its end.
    private func follow(_ version: String, _ state: inout WatchedObjects<Object>) async throws {
        let seconds = patience.watchSeconds + Int.random(in: 0...max(1, patience.watchSeconds / 2))
        let began = clock.nowNanoseconds
        let stream = try await api.open(
            target([
                ("watch", "1"), ("allowWatchBookmarks", "true"), ("timeoutSeconds", "\(seconds)"),
                ("resourceVersion", version),
            ]))
        var pending: [UInt8] = []
        var searched = 0
        var lines = 0
        // One byte now and then is no sign of life: the server was told when to end.
        let deadline = began + Int64(seconds + 30) * 1_000_000_000
        while let piece = try await next(of: stream), clock.nowNanoseconds < deadline {
            publish(nil)
            pending += piece
            while let end = pending[searched...].firstIndex(of: UInt8(ascii: "\n")) {
                let line = Array(pending[..<end])
                pending.removeSubrange(...end)
                searched = 0
                lines += 1
                if !line.isEmpty { try take(line, &state) }
            }
            searched = pending.count
            guard pending.count <= Self.lineBytesMaximum else {
                throw KubernetesFailure.unreadable("a line of more than \(Self.lineBytesMaximum) bytes")
            }
        }
        // What was cut off in the middle comes again: the version has not moved on.
        if lines == 0, clock.nowNanoseconds - began < patience.shortMilliseconds * 1_000_000 {
            throw KubernetesFailure.other("it ends each watch at once")
        }
    }

    private func take(_ line: [UInt8], _ state: inout WatchedObjects<Object>) throws {
        let event: JSONValue
        do {
            event = try TrimmedJSON.object(line)
        } catch {
            throw KubernetesFailure.unreadable("\(error)")
        }
        guard let type = event["type"]?.text, let json = event["object"] else {
            throw KubernetesFailure.unreadable("an event without type or object")
        }
        if type == "ERROR" {
            throw KubernetesFailure(
                code: json["code"]?.wholeNumber ?? 0, reason: json["reason"]?.text,
                message: json["message"]?.text ?? "")
        }
        // What another version of Kubernetes tells besides is not understood, and no harm.
        guard let change = WatchedObjects<Object>.Change(rawValue: type) else { return }
        let found = read(json)
        let version = json["metadata"]?["resourceVersion"]?.text ?? ""
        if state.take(change, key: found?.key ?? "", object: found?.object, version: version) {
            publish(state.objects)
        }
    }

    /// The next piece, or a failure where none comes in time: a peer that is gone says nothing.
    private func next(of stream: any HTTPStream) async throws -> [UInt8]? {
        try await withThrowingTaskGroup(of: [UInt8]?.self) { group in
            group.addTask { try await stream.next() }
            group.addTask { [silence = patience.silenceMilliseconds] in
                try await Task.sleep(for: .milliseconds(silence))
                throw KubernetesFailure.other("it said nothing for \(silence / 1_000) s")
            }
            defer { group.cancelAll() }
            return try await group.next() ?? nil
        }
    }

    private func say(_ failure: KubernetesFailure) {
        var advice = ""
        switch failure {
        case .expired: return
        case .unauthorized: advice = "; is the service account's token file the one of a pod that runs?"
        case .forbidden: advice = "; the agent's ClusterRole needs get, list and watch of pods and nodes"
        default: break
        }
        notices.say(
            .warning, about: path,
            """
            the API server at \(api.endpoint) does not tell of \(path) (\(failure)); it is asked again, and what was \
            known holds until the kubelet says otherwise\(advice)
            """)
    }

    private func target(_ items: [(String, String)]) -> String {
        let all = [("fieldSelector", selector)] + items
        return "\(path)?\(QueryString(all.map { QueryString.Item($0.0, $0.1) }).encoded)"
    }
}
