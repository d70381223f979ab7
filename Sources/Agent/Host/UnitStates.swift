internal import Glibc

/// One unit as systemd lists it.
struct UnitState: Equatable, Sendable {
    var name: String
    /// `active`, `activating`, `deactivating`, `inactive`, `failed`.
    var active: String
}

/// Port: the units of this host.
protocol UnitStates: AnyObject {
    /// All units now; nil when nobody answers.
    func list() -> [UnitState]?
}

/// Asks systemd itself, over its private socket (root) or the system's bus: one call, no library. A systemd that hangs
/// costs half a second, and is then left alone for ten minutes.
final class SystemdUnits: UnitStates {
    private static let service = "org.freedesktop.systemd1"
    private static let timeoutMicroseconds = 250_000
    private static let answerBytesMaximum = 8 << 20
    private static let unitsMaximum = 4_096

    private let sockets: [(path: String, isBus: Bool)]

    /// Nil where neither socket is there.
    init?(
        sockets: [(path: String, isBus: Bool)] = [
            ("/run/systemd/private", false), ("/run/dbus/system_bus_socket", true),
        ]
    ) {
        let present = sockets.filter { access($0.path, R_OK | W_OK) == 0 }
        guard !present.isEmpty else { return nil }
        self.sockets = present
    }

    func list() -> [UnitState]? {
        for socket in sockets {
            guard let connection = BusConnection(socket.path, timeoutMicroseconds: Self.timeoutMicroseconds) else {
                continue
            }
            if socket.isBus {
                let hello = BusMessage.call(
                    destination: "org.freedesktop.DBus", path: "/org/freedesktop/DBus",
                    interface: "org.freedesktop.DBus", member: "Hello", serial: 1)
                guard connection.ask(hello, serial: 1, bytesMaximum: 64 << 10) != nil else { continue }
            }
            let question = BusMessage.call(
                destination: Self.service, path: "/org/freedesktop/systemd1", interface: "\(Self.service).Manager",
                member: "ListUnits", serial: 2)
            guard let answer = connection.ask(question, serial: 2, bytesMaximum: Self.answerBytesMaximum) else {
                continue
            }
            return Self.units(answer.body)
        }
        return nil
    }

    /// Reads `a(ssssssouso)`: name, description, load state, active state, …
    static func units(_ body: ArraySlice<UInt8>) -> [UnitState]? {
        var reader = BusReader(body)
        guard let bytes = reader.word() else { return nil }
        reader.align(8)
        let end = reader.offset + Int(bytes)
        guard end <= body.count else { return nil }
        var units: [UnitState] = []
        while reader.offset < end, units.count < unitsMaximum {
            reader.align(8)
            guard let name = reader.text(), reader.text() != nil, reader.text() != nil, let active = reader.text(),
                reader.text() != nil, reader.text() != nil, reader.text() != nil, reader.word() != nil,
                reader.text() != nil, reader.text() != nil
            else { return nil }
            units.append(UnitState(name: name, active: active))
        }
        return units
    }
}

/// One connection to a bus, for a question or two; every wait is bounded.
final class BusConnection {
    private let descriptor: Int32
    private var received: [UInt8] = []

    /// Connects and says who is asking (`AUTH EXTERNAL`); nil when nobody answers in time.
    init?(_ path: String, timeoutMicroseconds: Int) {
        descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return nil }
        var limit = timeval(tv_sec: 0, tv_usec: timeoutMicroseconds)
        let size = socklen_t(MemoryLayout<timeval>.size)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, size)
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, size)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let fits = withUnsafeMutableBytes(of: &address.sun_path) { raw in
            guard path.utf8.count < raw.count else { return false }
            raw.copyBytes(from: path.utf8)
            return true
        }
        let connected = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        let digits = String(geteuid()).utf8.map { byte in "3\(byte - 0x30)" }.joined()
        guard fits, connected == 0, send(Array("\0AUTH EXTERNAL \(digits)\r\n".utf8)), receive(),
            received.starts(with: "OK ".utf8), received.last == UInt8(ascii: "\n"), send(Array("BEGIN\r\n".utf8))
        else { return nil }
        received = []
    }

    deinit { if descriptor >= 0 { close(descriptor) } }

    /// Sends a call and returns the answer to it; nil for an error, or when none comes in time.
    func ask(_ message: [UInt8], serial: UInt32, bytesMaximum: Int) -> BusMessage? {
        guard send(message) else { return nil }
        while true {
            while received.count >= 16 {
                guard let size = BusMessage.size(received[...]), size <= bytesMaximum else { return nil }
                guard received.count >= size else { break }
                let answer = BusMessage(Array(received[..<size])[...])
                received.removeFirst(size)
                guard let answer else { return nil }
                // A bus also tells of things nobody asked for.
                if answer.answers == serial { return answer.kind == .answer ? answer : nil }
            }
            guard received.count <= bytesMaximum, receive() else { return nil }
        }
    }

    private func send(_ bytes: [UInt8]) -> Bool {
        var sent = 0
        while sent < bytes.count {
            let count = bytes[sent...].withUnsafeBytes {
                Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { return false }
            sent += count
        }
        return true
    }

    private func receive() -> Bool {
        withUnsafeTemporaryAllocation(byteCount: 64 << 10, alignment: 8) { raw in
            let count = recv(descriptor, raw.baseAddress, raw.count, 0)
            guard count > 0 else { return false }
            received += raw[..<count]
            return true
        }
    }
}
