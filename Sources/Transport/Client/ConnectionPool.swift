internal import NIOCore
internal import Synchronization
internal import Wire

/// What two calls must share to use one connection.
struct ConnectionKey: Hashable, Sendable {
    var connection: HTTPEndpoint.Connection
    var tlsProfile: String?
    /// How often the profile was replaced before.
    var generation = 0
}

/// An open connection and the handler that drives it, which may be touched only on the channel's loop.
struct OpenConnection: Sendable {
    var channel: any Channel
    var handler: NIOLoopBound<ClientConnection>
}

/// Idle connections, a few per peer, each closed when nobody wanted it for a while.
final class ConnectionPool: Sendable {
    private struct Idle {
        var connection: OpenConnection
        var expiry: Scheduled<Void>
    }

    private struct State {
        var idle: [ConnectionKey: [Idle]] = [:]
        var count = 0
        var isClosed = false
    }

    private let idleMilliseconds: Int64
    private let perPeerMaximum: Int
    private let totalMaximum: Int
    private let state = Mutex(State())

    init(idleMilliseconds: Int64, perPeerMaximum: Int, totalMaximum: Int) {
        self.idleMilliseconds = idleMilliseconds
        self.perPeerMaximum = perPeerMaximum
        self.totalMaximum = totalMaximum
    }

    deinit {
        close()
    }

    /// The number of idle connections.
    var idleCount: Int { state.withLock { $0.count } }

    /// Takes the connection that was used last, which is the least likely to be stale.
    func take(_ key: ConnectionKey) -> OpenConnection? {
        while true {
            let idle = state.withLock { state -> Idle? in
                guard var list = state.idle[key], let last = list.popLast() else { return nil }
                state.idle[key] = list.isEmpty ? nil : list
                state.count -= 1
                return last
            }
            guard let idle else { return nil }
            idle.expiry.cancel()
            if idle.connection.channel.isActive { return idle.connection }
        }
    }

    /// Keeps a connection for the next call, or closes it when there are enough.
    func give(_ connection: OpenConnection, for key: ConnectionKey) {
        let channel = connection.channel
        let expiry = channel.eventLoop.scheduleTask(in: .milliseconds(idleMilliseconds)) { [weak self] in
            self?.drop(channel, for: key)
            channel.close(mode: .all, promise: nil)
        }
        let isKept = state.withLock { state in
            let list = state.idle[key] ?? []
            guard !state.isClosed, list.count < perPeerMaximum, state.count < totalMaximum else { return false }
            state.idle[key] = list + [Idle(connection: connection, expiry: expiry)]
            state.count += 1
            return true
        }
        if isKept { return }
        expiry.cancel()
        channel.close(mode: .all, promise: nil)
    }

    /// Forgets a connection that was closed while it was idle.
    func drop(_ channel: any Channel, for key: ConnectionKey) {
        let expiry = state.withLock { state -> Scheduled<Void>? in
            guard var list = state.idle[key], let index = list.firstIndex(where: { $0.connection.channel === channel })
            else { return nil }
            let removed = list.remove(at: index)
            state.idle[key] = list.isEmpty ? nil : list
            state.count -= 1
            return removed.expiry
        }
        expiry?.cancel()
    }

    /// Closes everything idle; connections given later are closed at once.
    func close() {
        let all = state.withLock { state in
            state.isClosed = true
            defer {
                state.idle = [:]
                state.count = 0
            }
            return state.idle.values.flatMap { $0 }
        }
        for idle in all {
            idle.expiry.cancel()
            idle.connection.channel.close(mode: .all, promise: nil)
        }
    }
}
