internal import Glibc
internal import Telemetry

/// One unit as systemd lists it.
struct UnitState: Equatable, Sendable {
    var name: String
    /// `loaded`, `not-found`, …: what is not loaded is only named by others.
    var load = "loaded"
    /// `active`, `activating`, `deactivating`, `inactive`, `failed`.
    var active: String
    /// How it is reached on the bus.
    var path = ""
    /// Of a service how it starts (`simple`, `notify`, `oneshot`, …), of a mount what is mounted; else empty.
    var type = ""
    /// How often systemd started a service again by itself; nil for what is none.
    var restarts: UInt64?
    /// When a timer elapsed last, in seconds since 1970, 0 for never; nil for what is none.
    var triggeredSeconds: Double?

    /// A unit.
    init(name: String, active: String, load: String = "loaded", path: String = "") {
        (self.name, self.active, self.load, self.path) = (name, active, load, path)
    }
}

/// Port: the units of this host.
protocol UnitStates: AnyObject {
    /// All units now; nil when nobody answers.
    func list() -> [UnitState]?
    /// How the main process of a service ended last, as shells count it; nil where that is not known.
    func exitCode(of service: String) -> Int?
}

/// Asks systemd itself, over its private socket (root) or the system's bus, without a library: for the list of units,
/// and then in one go for what the list does not have of services and timers. A systemd that hangs costs half a second,
/// and is then left alone for ten minutes.
final class SystemdUnits: UnitStates {
    private static let service = "org.freedesktop.systemd1"
    private static let timeoutMicroseconds = 250_000
    private static let answerBytesMaximum = 8 << 20
    private static let unitsMaximum = 4_096

    private let sockets: [(path: String, isBus: Bool)]
    private let clock: any MonotonicClock
    /// The types of services, which do not change while a unit is there.
    private var types: [String: String] = [:]

    /// What is asked at once: its answers fit into the socket's buffer, so that neither side waits for the other.
    private static let questionsAtOnce = 32
    /// How long all questions about units may take.
    private static let budgetNanoseconds: Int64 = 400_000_000

    /// Nil where neither socket is there.
    init?(
        sockets: [(path: String, isBus: Bool)] = [
            ("/run/systemd/private", false), ("/run/dbus/system_bus_socket", true),
        ], clock: any MonotonicClock = SystemMonotonicClock()
    ) {
        self.clock = clock
        let present = sockets.filter { access($0.path, R_OK | W_OK) == 0 }
        guard !present.isEmpty else { return nil }
        self.sockets = present
    }

    func exitCode(of service: String) -> Int? {
        guard let connection = connections().first(where: { _ in true }) else { return nil }
        // CLD_EXITED, CLD_KILLED, … and the code or signal (siginfo(2)).
        let calls = ["ExecMainCode", "ExecMainStatus"].enumerated().map { offset, name in
            BusMessage.call(
                destination: Self.service, path: "/org/freedesktop/systemd1/unit/\(Self.escaped(service))",
                interface: "org.freedesktop.DBus.Properties", member: "Get", serial: 2 + UInt32(offset),
                texts: ["\(Self.service).Service", name])
        }
        guard let answers = connection.ask(calls, serials: 2..<4, bytesMaximum: 64 << 10) else { return nil }
        func number(_ serial: UInt32) -> Int? {
            guard let answer = answers[serial] else { return nil }
            var reader = BusReader(answer.body)
            guard case .number(let value)? = reader.variant() else { return nil }
            return Int(value)
        }
        switch (number(2), number(3)) {
        case (1?, let status?): return status
        case (2?, let signal?), (3?, let signal?): return 128 + signal
        default: return nil
        }
    }

    /// A unit's name as a part of an object's path: what is no letter or digit is `_` and two hexadecimal digits.
    static func escaped(_ name: String) -> String {
        var text = ""
        for (index, byte) in name.utf8.enumerated() {
            let isLetter = (0x61...0x7a).contains(byte | 0x20)
            let isDigit = (0x30...0x39).contains(byte) && index > 0
            text +=
                isLetter || isDigit
                ? String(decoding: [byte], as: UTF8.self) : "_\(Hexadecimal.text([byte]))"
        }
        return text
    }

    /// Connections to systemd, the first one that works first.
    private func connections() -> some Sequence<BusConnection> {
        sockets.lazy.compactMap { socket in
            guard let connection = BusConnection(socket.path, timeoutMicroseconds: Self.timeoutMicroseconds) else {
                return nil
            }
            guard socket.isBus else { return connection }
            let hello = BusMessage.call(
                destination: "org.freedesktop.DBus", path: "/org/freedesktop/DBus",
                interface: "org.freedesktop.DBus", member: "Hello", serial: 1)
            return connection.ask(hello, serial: 1, bytesMaximum: 64 << 10) == nil ? nil : connection
        }
    }

    func list() -> [UnitState]? {
        for connection in connections() {
            let question = BusMessage.call(
                destination: Self.service, path: "/org/freedesktop/systemd1", interface: "\(Self.service).Manager",
                member: "ListUnits", serial: 2)
            guard let answer = connection.ask(question, serial: 2, bytesMaximum: Self.answerBytesMaximum) else {
                continue
            }
            guard let units = Self.units(answer.body) else { continue }
            return describe(units, connection)
        }
        return nil
    }

    /// Adds what each unit says itself. What is not answered in time stays unknown.
    private func describe(_ units: [UnitState], _ connection: BusConnection) -> [UnitState] {
        var units = units
        let names = Set(units.map(\.name))
        types = types.filter { names.contains($0.key) }
        var questions: [(index: Int, property: Property)] = []
        for (index, unit) in units.enumerated() where unit.load == "loaded" && !unit.path.isEmpty {
            units[index].type = types[unit.name] ?? ""
            for property in Property.all where unit.name.hasSuffix(property.suffix) {
                if property.isType, types[unit.name] != nil { continue }
                questions.append((index, property))
            }
        }
        let end = clock.nowNanoseconds + Self.budgetNanoseconds
        var serial: UInt32 = 3
        for start in stride(from: 0, to: questions.count, by: Self.questionsAtOnce) {
            guard clock.nowNanoseconds < end else { break }
            let batch = questions[start..<min(questions.count, start + Self.questionsAtOnce)]
            let calls = batch.enumerated().map { offset, question in
                BusMessage.call(
                    destination: Self.service, path: units[question.index].path,
                    interface: "org.freedesktop.DBus.Properties", member: "Get", serial: serial + UInt32(offset),
                    texts: ["\(Self.service).\(question.property.interface)", question.property.name])
            }
            let serials = serial..<(serial + UInt32(calls.count))
            serial = serials.upperBound
            guard let answers = connection.ask(calls, serials: serials, bytesMaximum: 1 << 20) else { break }
            for (offset, question) in batch.enumerated() {
                guard let answer = answers[serials.lowerBound + UInt32(offset)] else { continue }
                var reader = BusReader(answer.body)
                question.property.take(reader.variant(), &units[question.index])
            }
        }
        for unit in units where !unit.type.isEmpty { types[unit.name] = unit.type }
        return units
    }

    /// What is asked of a kind of unit.
    private struct Property {
        let suffix: String
        let interface: String
        let name: String

        var isType: Bool { name == "Type" }

        static let all = [
            Property(suffix: ".service", interface: "Service", name: "Type"),
            Property(suffix: ".service", interface: "Service", name: "NRestarts"),
            Property(suffix: ".timer", interface: "Timer", name: "LastTriggerUSec"),
        ]

        func take(_ value: BusReader.Value?, _ unit: inout UnitState) {
            switch (name, value) {
            case ("Type", .text(let type)): unit.type = type
            case ("NRestarts", .number(let count)): unit.restarts = count
            case ("LastTriggerUSec", .number(let time)): unit.triggeredSeconds = Double(time) / 1e6
            default: break
            }
        }
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
            guard let name = reader.text(), reader.text() != nil, let load = reader.text(), let active = reader.text(),
                reader.text() != nil, reader.text() != nil, let path = reader.text(), reader.word() != nil,
                reader.text() != nil, reader.text() != nil
            else { return nil }
            units.append(UnitState(name: name, active: active, load: load, path: path))
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
        ask([message], serials: serial..<(serial + 1), bytesMaximum: bytesMaximum)?[serial]
    }

    /// Sends calls and returns the answers that are no errors, by serial; nil when they do not all come in time.
    func ask(_ messages: [[UInt8]], serials: Range<UInt32>, bytesMaximum: Int) -> [UInt32: BusMessage]? {
        guard send(messages.flatMap { $0 }) else { return nil }
        var answers: [UInt32: BusMessage] = [:]
        var answered = 0
        while true {
            while received.count >= 16 {
                guard let size = BusMessage.size(received[...]), size <= bytesMaximum else { return nil }
                guard received.count >= size else { break }
                let answer = BusMessage(Array(received[..<size])[...])
                received.removeFirst(size)
                guard let answer else { return nil }
                // A bus also tells of things nobody asked for.
                guard serials.contains(answer.answers), answer.kind == .answer || answer.kind == .error else {
                    continue
                }
                answered += 1
                if answer.kind == .answer { answers[answer.answers] = answer }
                if answered == serials.count { return answers }
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
