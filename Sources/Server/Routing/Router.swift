internal import Telemetry
internal import Transport
internal import Wire

/// Finds the route of a request, checks who asks, and turns failures into answers.
struct Router: Sendable {
    let routes: [Route]
    /// Those without segments that vary, by their path.
    private let fixed: [String: [Route]]
    private let policy: @Sendable () -> AccessPolicy
    private let enrolment: AgentEnrolment?
    private let crossOrigin: CrossOrigin
    private let metrics: ServerMetrics
    private let clock: any MonotonicClock
    private let log: @Sendable (ServerLogEntry) -> Void

    init(
        routes: [Route], policy: @escaping @Sendable () -> AccessPolicy, enrolment: AgentEnrolment? = nil,
        crossOrigin: CrossOrigin, metrics: ServerMetrics, clock: any MonotonicClock,
        log: @escaping @Sendable (ServerLogEntry) -> Void
    ) {
        self.routes = routes
        fixed = Dictionary(grouping: routes.filter(\.isFixed), by: \.pattern)
        self.policy = policy
        self.enrolment = enrolment
        self.crossOrigin = crossOrigin
        self.metrics = metrics
        self.clock = clock
        self.log = log
    }

    /// Whether answering a request leaves all work to other threads.
    func isBrief(_ request: ListenerRequest) -> Bool {
        guard let length = request.body.announcedBytes, let route = find(request).0 else { return false }
        return route.isBrief && length <= route.briefBytesMaximum
    }

    /// Answers a request, always.
    func answer(_ request: ListenerRequest) async -> ListenerResponse {
        let start = clock.nowNanoseconds
        let (route, captures, failure) = find(request)
        var response: ListenerResponse
        if request.method == "OPTIONS", let failure, failure.kind == .methodNotAllowed {
            // A browser asks so, without credentials, before it lets a page ask for more.
            response = ListenerResponse(status: 204, fields: failure.fields)
        } else if let route {
            response = await answer(request, route, captures)
        } else {
            response = failure.map { request.target.hasPrefix("/loki/") ? $0.text : $0.json } ?? .text(500, "")
        }
        response.fields += crossOrigin.fields(for: request)
        metrics.requests.record(
            route: route?.pattern ?? "none", method: route == nil ? "other" : request.method, status: response.status,
            nanoseconds: clock.nowNanoseconds - start)
        return response
    }

    private func answer(
        _ request: ListenerRequest, _ route: Route, _ captures: [String: String]
    ) async -> ListenerResponse {
        do {
            let principal: Principal
            if let permission = route.permission {
                principal = try self.principal(of: request, for: route)
                guard principal.permissions.contains(permission) else {
                    throw APIFailure(
                        .forbidden,
                        "\(principal.name) may not do this: \(route.pattern) needs the permission "
                            + permission.rawValue
                    )
                }
            } else {
                principal = Principal(name: "anonymous", permissions: [])
            }
            return try await route.handle(ServerRequest(listener: request, captures: captures, principal: principal))
        } catch {
            let failure = APIFailure(describing: error)
            if failure.kind == .internal {
                // Nobody foresaw it: somebody should read it.
                log(
                    ServerLogEntry(
                        .error, "request failed",
                        fields: [
                            ("method", request.method), ("route", route.pattern),
                            ("remote", request.remoteAddress), ("error", failure.message),
                        ]))
            }
            return route.wording == .json ? failure.json : failure.text
        }
    }

    /// Who asks: on the agents' own routes whoever the certificate of the connection names, else who the token says.
    private func principal(of request: ListenerRequest, for route: Route) throws -> Principal {
        guard route.pattern.hasPrefix("/agent/"), let enrolment, let peer = request.peer, let agent = peer.agent else {
            return try policy().principal(of: request)
        }
        try enrolment.check(peer, agent: agent)
        return Principal(name: "agent \(agent)", permissions: [.ingest])
    }

    private func find(_ request: ListenerRequest) -> (Route?, [String: String], APIFailure?) {
        let target = request.target.utf8
        let path = request.target[..<(target.firstIndex(of: UInt8(ascii: "?")) ?? target.endIndex)]
        let known = fixed[String(path)]?.first { $0.takes(request.method) }
        if let known { return (known, [:], nil) }
        var segments: [String] = []
        for part in path.split(separator: "/") {
            guard let segment = PercentCoding.decode(String(part)) else {
                return (nil, [:], APIFailure(.badData, "the path has a broken percent escape"))
            }
            segments.append(segment)
        }
        var allowed: [String] = []
        for route in routes {
            guard let captures = route.match(segments) else { continue }
            if route.takes(request.method) {
                return (route, captures, nil)
            }
            allowed += route.methods
        }
        if allowed.isEmpty {
            return (nil, [:], APIFailure(.notFound, "there is nothing at \(path); GET / lists what there is"))
        }
        let fields = [HTTPField("Allow", allowed.joined(separator: ", "))]
        let words = "\(path) takes \(allowed.joined(separator: ", ")), not \(request.method)"
        return (nil, [:], APIFailure(.methodNotAllowed, words, fields: fields))
    }
}
