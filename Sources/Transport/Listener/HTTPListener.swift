internal import NIOCore
internal import NIOHTTP1
internal import NIOPosix
internal import NIOSSL
internal import Synchronization

/// Why a listener could not be started.
package struct ListenerFailure: Error, Sendable, CustomStringConvertible {
    /// What happened, where, and what to do.
    package let description: String

    init(_ description: String) {
        self.description = description
    }
}

/// Serves HTTP/1.1 on one address: keep-alive, pipelining, streaming both ways, TLS.
///
/// Bounds for peers that mean harm or are broken: head size and time, body and idle time, time to take an answer,
/// number of connections. A handler runs as a task of its own; it is cancelled when its client goes away.
package final class HTTPListener: Sendable {
    /// Where to listen and what to allow. Times in milliseconds.
    package struct Options: Sendable {
        package var host: String
        /// 0 picks a free one.
        package var port: Int
        /// Nil for plain HTTP.
        package var tls: TLSServerIdentity?
        /// The longest head of a request, request line included.
        package var headBytesMaximum = 64 << 10
        /// From the first byte of a head to its last, and from connecting to the first head.
        package var headMilliseconds: Int64 = 10_000
        /// Between two pieces of a request's body.
        package var bodyMilliseconds: Int64 = 30_000
        /// Between an answer and the next request; longer than agents keep an idle connection.
        package var idleMilliseconds: Int64 = 75_000
        /// How long a client may take nothing of an answer.
        package var sendMilliseconds: Int64 = 60_000
        /// How long a client on a WebSocket may be silent before it is asked, and again before it is cut.
        package var pingMilliseconds: Int64 = 30_000
        /// How long, and for how many bytes, the rest of a refused request is read and thrown away.
        package var lingerMilliseconds: Int64 = 2_000
        package var lingerBytesMaximum = 4 << 20
        /// More are turned away with 503.
        package var connectionsMaximum = 12_000
        /// Told of each TLS handshake that failed: the client's address, and why. On an event loop.
        package var handshakeFailed: @Sendable (String, String) -> Void = { _, _ in }

        /// Options for one address.
        package init(host: String, port: Int, tls: TLSServerIdentity? = nil) {
            self.host = host
            self.port = port
            self.tls = tls
        }
    }

    /// The address bound, as it is connected to: the picked port, brackets around an IPv6 address.
    package let address: String
    /// The port bound.
    package let port: Int
    private let server: any Channel
    private let connections: ConnectionTable
    private let context: TLSContext

    private init(server: any Channel, connections: ConnectionTable, context: TLSContext, host: String) {
        self.server = server
        self.connections = connections
        self.context = context
        port = server.localAddress?.port ?? 0
        address = host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
    }

    /// Binds and serves. Throws `ListenerFailure`.
    package static func start(
        _ options: Options, handler: @escaping @Sendable (ListenerRequest) async -> ListenerResponse
    ) async throws -> HTTPListener {
        let connections = ConnectionTable(maximum: options.connectionsMaximum)
        let context = TLSContext()
        try context.replace(options.tls, "\(options.host):\(options.port)")
        var limits = NIOHTTPDecoderLimitConfiguration()
        limits.maxHeaderFieldSize = options.headBytesMaximum
        limits.maxHeaderListSize = options.headBytesMaximum
        let decoderLimits = limits
        let bootstrap = ServerBootstrap(group: EventLoops.shared)
            .serverChannelOption(.backlog, value: 1024)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.autoRead, value: false)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let connection = ListenerConnection(options: options, handler: handler)
                    let pipeline = channel.pipeline.syncOperations
                    if let context = context.current {
                        try pipeline.addHandler(NIOSSLServerHandler(context: context))
                    }
                    guard connections.add(channel, NIOLoopBound(connection, eventLoop: channel.eventLoop)) else {
                        try pipeline.addHandler(TurnAway(maximum: options.connectionsMaximum))
                        return
                    }
                    try pipeline.addHandler(HeadGuard(connection: connection))
                    try pipeline.configureHTTPServerPipeline(
                        withPipeliningAssistance: false, withErrorHandling: false, withEncoderConfiguration: .init(),
                        withDecoderLimitConfiguration: decoderLimits)
                    try pipeline.addHandler(connection)
                }
            }
        do {
            let server = try await bootstrap.bind(host: options.host, port: options.port).get()
            return HTTPListener(server: server, connections: connections, context: context, host: options.host)
        } catch {
            throw ListenerFailure(
                "cannot listen on \(options.host):\(options.port): \(ClientConnection.words(error)); "
                    + "stop what listens there, or choose another address with --listen")
        }
    }

    /// The number of open connections.
    package var connectionCount: Int { connections.count }

    /// Shows another certificate to those who connect from now on; open connections stay as they are. Throws
    /// `ListenerFailure` when it is of no use: the one before stays.
    package func replaceIdentity(_ identity: TLSServerIdentity) throws(ListenerFailure) {
        try context.replace(identity, address)
    }

    /// Cuts the connections on which `agent` has proved itself, in the middle of whatever they do.
    package func cutConnections(ofAgent agent: String) { connections.cut { $0.peer?.agent == agent } }

    /// Waits until each event loop has done a piece of work.
    package static func turnEventLoops() async {
        for loop in EventLoops.shared.makeIterator() { try? await loop.submit {}.get() }
    }

    /// Stops accepting, lets what is under way be answered, and after `deadlineMilliseconds` cuts what is left.
    package func shutdown(deadlineMilliseconds: Int64) async {
        try? await server.close(mode: .all).get()
        connections.quiesce()
        let cut = server.eventLoop.scheduleTask(in: .milliseconds(deadlineMilliseconds)) { [connections] in
            connections.cut()
        }
        await connections.drained()
        cut.cancel()
    }
}

/// The TLS context of a listener, which may be replaced while it runs.
private final class TLSContext: Sendable {
    private let state = Mutex<NIOSSLContext?>(nil)

    var current: NIOSSLContext? { state.withLock { $0 } }

    func replace(_ identity: TLSServerIdentity?, _ address: String) throws(ListenerFailure) {
        do {
            let context = try identity?.makeContext()
            state.withLock { $0 = context }
        } catch {
            throw ListenerFailure("the TLS certificate or key of \(address) is of no use: \(error)")
        }
    }
}

/// The open connections of a listener.
private final class ConnectionTable: Sendable {
    private struct Entry {
        var channel: any Channel
        var connection: NIOLoopBound<ListenerConnection>
    }

    private struct State {
        var entries: [ObjectIdentifier: Entry] = [:]
        var isClosing = false
        var drained: [CheckedContinuation<Void, Never>] = []
    }

    private let maximum: Int
    private let state = Mutex(State())

    init(maximum: Int) {
        self.maximum = maximum
    }

    var count: Int { state.withLock { $0.entries.count } }

    /// Enters a connection until it closes; false when there are too many or the listener closes.
    func add(_ channel: any Channel, _ connection: NIOLoopBound<ListenerConnection>) -> Bool {
        let key = ObjectIdentifier(channel)
        let isTaken = state.withLock { state in
            guard !state.isClosing, state.entries.count < maximum else { return false }
            state.entries[key] = Entry(channel: channel, connection: connection)
            return true
        }
        if isTaken { channel.closeFuture.whenComplete { _ in self.remove(key) } }
        return isTaken
    }

    private func remove(_ key: ObjectIdentifier) {
        let waiting = state.withLock { state -> [CheckedContinuation<Void, Never>] in
            state.entries[key] = nil
            guard state.entries.isEmpty else { return [] }
            defer { state.drained = [] }
            return state.drained
        }
        for continuation in waiting { continuation.resume() }
    }

    func quiesce() {
        let entries = state.withLock { state in
            state.isClosing = true
            return Array(state.entries.values)
        }
        for entry in entries {
            entry.channel.eventLoop.execute { entry.connection.value.quiesce() }
        }
    }

    func cut() {
        for entry in state.withLock({ Array($0.entries.values) }) { entry.channel.close(mode: .all, promise: nil) }
    }

    func cut(where condition: @escaping @Sendable (ListenerConnection) -> Bool) {
        for entry in state.withLock({ Array($0.entries.values) }) {
            entry.channel.eventLoop.execute {
                if condition(entry.connection.value) { entry.channel.close(mode: .all, promise: nil) }
            }
        }
    }

    func drained() async {
        await withCheckedContinuation { continuation in
            let isEmpty = state.withLock { state in
                if !state.entries.isEmpty { state.drained.append(continuation) }
                return state.entries.isEmpty
            }
            if isEmpty { continuation.resume() }
        }
    }
}

/// Answers one connection too many.
private final class TurnAway: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let maximum: Int

    init(maximum: Int) {
        self.maximum = maximum
    }

    func channelActive(context: ChannelHandlerContext) {
        let reason =
            "\(maximum) connections are open, and more are not taken; three quarters of the open files that the "
            + "process may have are for connections: raise its limit (LimitNOFILE=, ulimit -n)\n"
        let answer =
            "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 5\r\n"
            + "Content-Type: text/plain; charset=utf-8\r\nContent-Length: \(reason.utf8.count)\r\n\r\n\(reason)"
        let written = context.eventLoop.makePromise(of: Void.self)
        written.futureResult.assumeIsolated().whenComplete { _ in context.close(promise: nil) }
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: answer)), promise: written)
    }
}
