internal import Glibc
internal import Telemetry

/// Takes syslog messages from the sockets that the configuration names: the only thing an agent listens on. Datagrams
/// wait in the socket while there is no room; what the kernel had to drop meanwhile is told as a loss. Streams are not
/// read then, so that their senders wait.
final class SyslogSource: LineSource {
    /// One stream connection.
    private struct Connection {
        var framing = SyslogFraming()
        var peer: String
    }

    private let context: LineSourceContext
    private var datagrams: [Int32] = []
    private var listeners: [Int32] = []
    private var connections: [Int32: Connection] = [:]
    private var unixPaths: [String] = []
    private var drops: [Int32: UInt32] = [:]
    private let origin: LogOrigin
    private var number: UInt64 = 0
    /// Programs and hosts that have streams of their own; whoever sends ever new names gets none.
    private var known: Set<Labels> = []
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 128 << 10, alignment: 8)

    private static let connectionsMaximum = 256
    private static let streamsMaximum = 1_024
    private static let receiveBytes: Int32 = 4 << 20
    private static let datagramsMaximum = 4_000

    init?(_ context: LineSourceContext) {
        guard !context.settings.syslog.isEmpty else { return nil }
        self.context = context
        // Messages have no place one could come back to: each run counts its own.
        origin = LogOrigin(source: "\(context.agent)/syslog:\(context.wallNanoseconds)", generation: 0)
        for listener in context.settings.syslog { open(listener.transport) }
    }

    deinit {
        for descriptor in datagrams + listeners + connections.keys { close(descriptor) }
        for path in unixPaths { unlink(path) }
        buffer.deallocate()
    }

    var descriptors: [Int32] { datagrams + listeners + connections.keys }

    func harvest(_ look: LineSourceLook) -> LineHarvest {
        var harvest = LineHarvest()
        for descriptor in datagrams { noteDrops(descriptor, look, &harvest) }
        guard look.isAccepting else { return harvest }
        var counted = CountedLines(origin: origin)
        for listener in listeners { accept(listener) }
        for descriptor in datagrams { receive(descriptor, look, &counted) }
        for descriptor in connections.keys { read(descriptor, look, &counted) }
        harvest.streams = counted.streams
        harvest.bytes = counted.bytes
        harvest.hasMore = counted.bytes >= look.budget
        return harvest
    }

    private func receive(_ descriptor: Int32, _ look: LineSourceLook, _ counted: inout CountedLines) {
        for _ in 0..<Self.datagramsMaximum where counted.bytes < look.budget {
            let count = recv(descriptor, buffer.baseAddress, buffer.count, Int32(MSG_DONTWAIT))
            guard count >= 0 else { return }
            add(UnsafeRawBufferPointer(rebasing: buffer[..<count]), look, &counted)
        }
    }

    private func read(_ descriptor: Int32, _ look: LineSourceLook, _ counted: inout CountedLines) {
        while counted.bytes < look.budget {
            let count = recv(descriptor, buffer.baseAddress, buffer.count, Int32(MSG_DONTWAIT))
            if count < 0, errno == EAGAIN || errno == EINTR { return }
            guard count > 0 else {
                connections[descriptor]?.framing.finish { add($0, look, &counted) }
                connections[descriptor] = nil
                close(descriptor)
                return
            }
            guard var framing = connections[descriptor]?.framing else { return }
            let cut = framing.cut
            framing.take(UnsafeRawBufferPointer(rebasing: buffer[..<count])) { add($0, look, &counted) }
            if framing.cut > cut {
                context.notices.say(
                    .warning, about: "syslog length",
                    "syslog messages of more than \(SyslogFraming.messageBytesMaximum) bytes are cut there")
            }
            connections[descriptor]?.framing = framing
        }
    }

    private func accept(_ listener: Int32) {
        while true {
            let descriptor = Glibc.accept(listener, nil, nil)
            guard descriptor >= 0 else { return }
            guard connections.count < Self.connectionsMaximum else {
                close(descriptor)
                context.notices.say(
                    .warning, about: "syslog connections",
                    "more than \(Self.connectionsMaximum) syslog connections at once: further ones are closed")
                continue
            }
            Self.prepare(descriptor)
            connections[descriptor] = Connection(peer: "")
        }
    }

    private func add(_ bytes: UnsafeRawBufferPointer, _ look: LineSourceLook, _ counted: inout CountedLines) {
        let message = SyslogMessage(bytes)
        number += 1
        counted.add(
            labels(message), nanoseconds: message.nanoseconds ?? look.wallNanoseconds, message.text, number: number,
            metadata: Labels([
                "level": SyslogMessage.levels[message.severity],
                "facility": SyslogMessage.facilities[message.facility], "pid": message.process,
            ]))
    }

    private func labels(_ message: SyslogMessage) -> Labels {
        var fields = ["source": "syslog", "node": context.node, "host": message.host, "service": message.application]
        if message.application.isEmpty { fields["service"] = SyslogMessage.facilities[message.facility] }
        let labels = Labels(fields)
        if known.contains(labels) { return labels }
        guard known.count < Self.streamsMaximum else {
            context.notices.say(
                .warning, about: "syslog streams",
                """
                more than \(Self.streamsMaximum) pairs of host and program send syslog messages: further ones \
                share the stream {service="other"}
                """)
            return Labels(["source": "syslog", "node": context.node, "service": "other"])
        }
        known.insert(labels)
        return labels
    }

    /// The kernel counts what a full socket cost (SO_MEMINFO, SK_MEMINFO_DROPS).
    private func noteDrops(_ descriptor: Int32, _ look: LineSourceLook, _ harvest: inout LineHarvest) {
        var counters = [UInt32](repeating: 0, count: 9)
        var length = socklen_t(counters.count * 4)
        let memoryInformation: Int32 = 55
        guard getsockopt(descriptor, SOL_SOCKET, memoryInformation, &counters, &length) == 0, length >= 36 else {
            return
        }
        let lost = counters[8] &- (drops[descriptor] ?? 0)
        guard lost > 0 else { return }
        drops[descriptor] = counters[8]
        harvest.losses.append(
            LogLoss(
                labels: Labels(["source": "syslog", "node": context.node]), origin: nil,
                range: LogTimeRange(startNanoseconds: look.wallNanoseconds, endNanoseconds: look.wallNanoseconds),
                lines: Int(lost), bytes: 0, reason: "syslog messages came faster than they were taken"))
    }
}

/// The sockets.
extension SyslogSource {
    private func open(_ transport: LogSettings.SyslogListener.Transport) {
        switch transport {
        case .udp(let host, let port): openNetwork(host, port, isStream: false)
        case .tcp(let host, let port): openNetwork(host, port, isStream: true)
        case .unix(let path): openUnix(path, isStream: false)
        case .unixStream(let path): openUnix(path, isStream: true)
        }
    }

    private func openNetwork(_ host: String, _ port: UInt16, isStream: Bool) {
        var hints = addrinfo()
        hints.ai_socktype = Int32(isStream ? SOCK_STREAM.rawValue : SOCK_DGRAM.rawValue)
        hints.ai_flags = AI_PASSIVE | AI_NUMERICHOST
        var found: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(host, String(port), &hints, &found) == 0, let address = found else {
            return refuse("\(host):\(port)", "\(host) is no address")
        }
        defer { freeaddrinfo(found) }
        let descriptor = socket(address.pointee.ai_family, hints.ai_socktype, 0)
        var yes: Int32 = 1
        if isStream { setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, 4) }
        guard descriptor >= 0, bind(descriptor, address.pointee.ai_addr, address.pointee.ai_addrlen) == 0,
            !isStream || listen(descriptor, 64) == 0
        else {
            let reason = String(cString: strerror(errno))
            if descriptor >= 0 { close(descriptor) }
            return refuse("\(host):\(port)", reason)
        }
        take(descriptor, isStream: isStream)
    }

    private func openUnix(_ path: String, isStream: Bool) {
        // What a run that was killed left there; a file of another kind is not touched.
        var status = stat()
        if lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFSOCK { unlink(path) }
        let descriptor = socket(AF_UNIX, Int32(isStream ? SOCK_STREAM.rawValue : SOCK_DGRAM.rawValue), 0)
        let isBound = UnixAddress.with(path) { bind(descriptor, $0, $1) == 0 } ?? false
        guard descriptor >= 0, isBound, !isStream || listen(descriptor, 64) == 0 else {
            let reason = String(cString: strerror(errno))
            if descriptor >= 0 { close(descriptor) }
            return refuse(path, reason)
        }
        chmod(path, 0o666)
        unixPaths.append(path)
        take(descriptor, isStream: isStream)
    }

    private func take(_ descriptor: Int32, isStream: Bool) {
        Self.prepare(descriptor)
        if isStream {
            listeners.append(descriptor)
        } else {
            var bytes = Self.receiveBytes
            setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &bytes, 4)
            datagrams.append(descriptor)
        }
    }

    private static func prepare(_ descriptor: Int32) {
        _ = fcntl(descriptor, F_SETFL, O_NONBLOCK)
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
    }

    private func refuse(_ address: String, _ reason: String) {
        context.notices.say(
            .error, about: "syslog \(address)",
            "syslog messages cannot be taken on \(address) (\(reason)); everything else goes on")
    }
}
