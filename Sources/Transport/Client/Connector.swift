internal import NIOCore
internal import NIOHTTP1
internal import NIOPosix
internal import NIOSSL
internal import Synchronization
internal import Wire

/// Opens connections: TCP, TLS over TCP, unix sockets.
final class Connector: Sendable {
    private struct State {
        var profiles: [String: TLSProfile]
        /// How often a profile was replaced.
        var generations: [String: Int] = [:]
        /// Built on first use, because the system's trust store costs memory that most agents never need.
        var contexts: [String: NIOSSLContext] = [:]
    }

    private let state: Mutex<State>

    init(profiles: [String: TLSProfile]) {
        state = Mutex(State(profiles: profiles))
    }

    /// Connections that are opened from now on use `profile`.
    func replace(_ profile: TLSProfile, named name: String) {
        state.withLock { state in
            state.profiles[name] = profile
            state.generations[name, default: 0] += 1
            state.contexts[name] = nil
        }
    }

    /// The TLS settings a call needs; nil for a plain connection.
    func tls(for call: HTTPCall) async throws(HTTPFailure) -> TLSSettings? {
        guard case .tls(let host, _) = call.endpoint.connection else { return nil }
        let name = call.tlsProfile ?? ""
        let (found, generation, known) = state.withLock { state in
            (
                name.isEmpty ? TLSProfile() : state.profiles[name], state.generations[name] ?? 0,
                state.contexts[name]
            )
        }
        guard let profile = found else {
            throw HTTPFailure(.tls, "\(call.endpoint): there is no TLS profile named \"\(name)\"")
        }
        let serverName = profile.serverName ?? host
        if let known { return TLSSettings(context: known, serverName: serverName, generation: generation) }
        do {
            let context = try await NIOThreadPool.singleton.runIfActive { try profile.makeContext() }
            state.withLock { state in
                if state.generations[name] ?? 0 == generation { state.contexts[name] = context }
            }
            return TLSSettings(context: context, serverName: serverName, generation: generation)
        } catch {
            throw HTTPFailure(.tls, "\(call.endpoint): the TLS profile \"\(name)\" is of no use: \(error)")
        }
    }

    /// Connects; `onIdle` is called on the connection's loop each time an exchange is done and another may follow.
    func connect(
        _ endpoint: HTTPEndpoint, tls: TLSSettings?, timeout: TimeAmount,
        onIdle: @escaping @Sendable (OpenConnection) -> Void, onClose: @escaping @Sendable (any Channel) -> Void
    ) -> EventLoopFuture<OpenConnection> {
        let bootstrap = ClientBootstrap(group: EventLoops.shared)
            .connectTimeout(timeout)
            .channelOption(.autoRead, value: false)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let pipeline = channel.pipeline.syncOperations
                    if let tls {
                        let name = isAddress(tls.serverName) ? nil : tls.serverName
                        try pipeline.addHandler(NIOSSLClientHandler(context: tls.context, serverHostname: name))
                    }
                    try pipeline.addHTTPClientHandlers()
                    let handler = ClientConnection(isSecure: tls != nil) { channel in
                        guard let connection = try? Connector.opened(channel) else { return }
                        onIdle(connection)
                    }
                    try pipeline.addHandler(handler)
                    channel.closeFuture.whenComplete { _ in onClose(channel) }
                }
            }
        let channel =
            switch endpoint.connection {
            case .tcp(let host, let port), .tls(let host, let port): bootstrap.connect(host: host, port: port)
            case .unix(let path): bootstrap.connect(unixDomainSocketPath: path)
            }
        return channel.flatMapThrowing { try Connector.opened($0) }
    }

    /// Finds the handler again; only on the channel's loop.
    private static func opened(_ channel: any Channel) throws -> OpenConnection {
        let handler = try channel.pipeline.syncOperations.handler(type: ClientConnection.self)
        return OpenConnection(channel: channel, handler: NIOLoopBound(handler, eventLoop: channel.eventLoop))
    }

    /// Says where connecting failed: `resolve` when no address was found, else `connect`.
    static func failure(_ error: any Error) -> (HTTPFailure.Stage, String) {
        if let error = error as? NIOConnectionError {
            if let first = error.connectionErrors.first { return (.connect, ClientConnection.words(first.error)) }
            return (.resolve, "no address found for the host \"\(error.host)\"")
        }
        return (.connect, ClientConnection.words(error))
    }
}

/// What a TLS connection is opened with.
struct TLSSettings: Sendable {
    var context: NIOSSLContext
    var serverName: String
    /// Connections of an earlier generation of a profile are not used for its calls.
    var generation: Int
}

/// Whether `host` is a literal address, which is never sent as a TLS server name.
private func isAddress(_ host: String) -> Bool { (try? SocketAddress(ipAddress: host, port: 0)) != nil }
