import Glibc
import Telemetry
import Testing

@testable import Agent

/// systemd asked over its own protocol: the bytes of a question and of an answer, and a bus that answers, lies, or is
/// silent.
@Suite struct UnitStateTests {
    /// Little-endian values with D-Bus' alignment.
    private struct Writer {
        var bytes: [UInt8] = []

        mutating func align(_ boundary: Int) { while bytes.count % boundary != 0 { bytes.append(0) } }

        mutating func word(_ value: Int) {
            align(4)
            for shift in [0, 8, 16, 24] { bytes.append(UInt8(truncatingIfNeeded: value >> shift)) }
        }

        mutating func text(_ text: String) {
            word(text.utf8.count)
            bytes += Array(text.utf8) + [0]
        }
    }

    /// `a(ssssssouso)` of some units.
    private static func list(_ units: [(String, String)]) -> [UInt8] {
        var elements = Writer()
        for (name, active) in units {
            elements.align(8)
            let load = name.hasPrefix("missing") ? "not-found" : "loaded"
            for text in [name, "About \(name)", load, active, "sub", "", "/unit/\(name)"] { elements.text(text) }
            elements.word(0)
            elements.text("")
            elements.text("/")
        }
        var body = Writer()
        body.word(elements.bytes.count)
        body.align(8)
        return body.bytes + elements.bytes
    }

    /// An answer to `serial`.
    private static func answer(_ serial: Int, kind: UInt8 = 2, _ body: [UInt8]) -> [UInt8] {
        var fields = Writer()
        fields.bytes += [8, 1, UInt8(ascii: "g"), 0, 1, UInt8(ascii: "a"), 0]
        fields.align(8)
        fields.bytes += [5, 1, UInt8(ascii: "u"), 0]
        fields.word(serial)
        var message = Writer(bytes: [UInt8(ascii: "l"), kind, 0, 1])
        message.word(body.count)
        message.word(99)
        message.word(fields.bytes.count)
        message.bytes += fields.bytes
        message.align(8)
        return message.bytes + body
    }

    @Test func aQuestionIsAWholeMessage() throws {
        let call = BusMessage.call(destination: "a.b", path: "/c", interface: "d.e", member: "F", serial: 7)
        #expect(BusMessage.size(call[...]) == call.count)
        let read = try #require(BusMessage(call[...]))
        #expect(read.kind == .call && read.answers == 0 && read.body.isEmpty)
        #expect(call.count % 8 == 0)
    }

    @Test func anAnswerIsWalkedThrough() throws {
        let units = [("ssh.service", "active"), ("a.mount", "active"), ("backup.service", "failed")]
        let message = try #require(BusMessage(Self.answer(2, Self.list(units))[...]))
        #expect(message.answers == 2)
        let read = try #require(SystemdUnits.units(message.body))
        #expect(read.map(\.name) == units.map(\.0))
        #expect(read.map(\.active) == units.map(\.1))
    }

    @Test func aDamagedAnswerIsNone() {
        let whole = Self.answer(2, Self.list([("ssh.service", "active")]))
        for count in [0, 1, 15, 16, whole.count - 1] { #expect(BusMessage(whole[..<count]) == nil) }
        let list = Self.list([("ssh.service", "active")])
        for index in list.indices {
            var damaged = list
            damaged[index] = 0xff
            // Whatever it says, it ends.
            _ = SystemdUnits.units(damaged[...])
        }
    }

    /// A value as `Properties.Get` answers it.
    private static func variant(_ kind: String, _ put: (inout Writer) -> Void) -> [UInt8] {
        var writer = Writer(bytes: [1] + Array(kind.utf8) + [0])
        put(&writer)
        return writer.bytes
    }

    /// What a systemd with a few units says to a message.
    private static func systemd(_ call: [UInt8]) -> [UInt8] {
        let serial = Int(call[8]) | Int(call[9]) << 8
        let text = String(decoding: call, as: UTF8.self)
        if text.contains("ListUnits") {
            return answer(
                serial, list([("x.service", "failed"), ("backup.timer", "active"), ("missing.service", "inactive")]))
        }
        if text.contains("NRestarts") { return answer(serial, variant("u") { $0.word(4) }) }
        if text.contains("LastTriggerUSec") {
            return answer(
                serial,
                variant("t") { writer in
                    writer.align(8)
                    writer.word(1_500_000)
                    writer.word(0)
                })
        }
        if text.contains("ExecMainCode") { return answer(serial, variant("i") { $0.word(2) }) }
        if text.contains("ExecMainStatus") { return answer(serial, variant("i") { $0.word(9) }) }
        if text.contains("Type") { return answer(serial, variant("s") { $0.text("notify") }) }
        return answer(serial, kind: 3, [])
    }

    /// A bus at `path` that answers as `reply` says, on one connection.
    private static func serve(_ path: String, _ reply: @escaping @Sendable ([UInt8]) -> [UInt8]) -> AgentThread? {
        let listener = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        _ = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(listener, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        listen(listener, 1)
        return AgentThread(name: "test-bus") {
            let peer = accept(listener, nil, nil)
            defer {
                close(peer)
                close(listener)
            }
            var buffer = [UInt8](repeating: 0, count: 4_096)
            var text: [UInt8] = []
            while !text.contains(UInt8(ascii: "\n")) {
                let count = recv(peer, &buffer, buffer.count, 0)
                guard count > 0 else { return }
                text += buffer[..<count]
            }
            let isOrderly = text.first == 0 && text.dropFirst().starts(with: "AUTH EXTERNAL 3".utf8)
            let word = Array((isOrderly ? "OK 0123\r\n" : "REJECTED\r\n").utf8)
            _ = send(peer, word, word.count, 0)
            text = []
            var isBegun = false
            while true {
                let count = recv(peer, &buffer, buffer.count, 0)
                guard count > 0 else { return }
                text += buffer[..<count]
                if !isBegun, text.count >= 7 {
                    text.removeFirst(7)
                    isBegun = true
                }
                while isBegun, let size = BusMessage.size(text[...]), text.count >= size {
                    let answer = reply(Array(text[..<size]))
                    text.removeFirst(size)
                    // In two pieces, as a slow bus would.
                    _ = send(peer, answer, min(20, answer.count), Int32(MSG_NOSIGNAL))
                    let rest = Array(answer.dropFirst(20))
                    if !rest.isEmpty { _ = send(peer, rest, rest.count, Int32(MSG_NOSIGNAL)) }
                }
            }
        }
    }

    @Test func unitsComeFromASocket() async throws {
        let scratch = ScratchFolder()
        let path = "\(scratch.path)/bus"
        let signal = Self.answer(0, kind: 4, [])
        let thread = Self.serve(path) { signal + Self.systemd($0) }
        let units = try #require(SystemdUnits(sockets: [(path, false)]))
        let list = try #require(units.list())
        var service = UnitState(name: "x.service", active: "failed", path: "/unit/x.service")
        (service.type, service.restarts) = ("notify", 4)
        var timer = UnitState(name: "backup.timer", active: "active", path: "/unit/backup.timer")
        timer.triggeredSeconds = 1.5
        // What is not loaded is asked nothing.
        let missing = UnitState(
            name: "missing.service", active: "inactive", load: "not-found", path: "/unit/missing.service")
        #expect(list == [service, timer, missing])
        await thread?.ended()
    }

    @Test func howAServiceEndedIsAsked() async throws {
        let scratch = ScratchFolder()
        let path = "\(scratch.path)/bus"
        let thread = Self.serve(path) { Self.systemd($0) }
        let units = try #require(SystemdUnits(sockets: [(path, false)]))
        // Killed by signal 9.
        #expect(units.exitCode(of: "x.service") == 137)
        await thread?.ended()
    }

    @Test func aSystemdThatAnswersTheListAloneStillGivesTheList() async throws {
        let scratch = ScratchFolder()
        let path = "\(scratch.path)/bus"
        let thread = Self.serve(path) { call in
            String(decoding: call, as: UTF8.self).contains("ListUnits") ? Self.systemd(call) : []
        }
        let units = try #require(SystemdUnits(sockets: [(path, false)]))
        #expect(units.list()?.map(\.name) == ["x.service", "backup.timer", "missing.service"])
        await thread?.ended()
    }

    @Test func aBusThatRefusesGivesNothing() async throws {
        let scratch = ScratchFolder()
        let path = "\(scratch.path)/bus"
        let thread = Self.serve(path) { _ in Self.answer(2, kind: 3, []) }
        let units = try #require(SystemdUnits(sockets: [(path, false)]))
        #expect(units.list() == nil)
        await thread?.ended()
        #expect(SystemdUnits(sockets: [("/nowhere/bus", true)]) == nil)
    }

    private final class FakeUnits: UnitStates {
        var answers: [[UnitState]?]
        var questions = 0

        init(_ answers: [[UnitState]?]) {
            self.answers = answers
        }

        func list() -> [UnitState]? {
            questions += 1
            return answers.isEmpty ? nil : answers.removeFirst()
        }

        func exitCode(of service: String) -> Int? { nil }
    }

    @Test func aFailedServiceIsShownAndSystemdIsAskedSeldom() throws {
        let host = HostRoot("/nowhere")
        var service = UnitState(name: "a.service", active: "failed")
        (service.type, service.restarts) = ("simple", 3)
        let fake = FakeUnits([
            [
                service, UnitState(name: "wished.service", active: "inactive", load: "not-found"),
                UnitState(name: "b.mount", active: "active"),
                UnitState(name: "c.timer", active: "active"),
            ], nil,
        ])
        let context = CollectionContext(
            host: host, layout: CgroupLayout(of: host), node: "n", notices: Fixture.quiet, counters: EventCounters(),
            units: fake)
        let samples = TargetSamples(base: [], target: .empty, intervalMilliseconds: 15_000)
        let collector = try #require(HostUnitCollector(context, samples))
        func lines(_ number: Int) -> [String] {
            samples.begin(milliseconds: Int64(number))
            collector.collect(Tick(nanoseconds: Int64(number), number: number), into: samples)
            return Fixture.text([samples.group])
        }
        let first = lines(0)
        #expect(
            first.contains("node_systemd_unit_state{name=\"a.service\", state=\"failed\", type=\"simple\"} 1.0"))
        #expect(first.contains("node_systemd_service_restart_total{name=\"a.service\"} 3.0"))
        #expect(!first.contains { $0.contains("wished") })
        #expect(first.contains("node_systemd_units{state=\"inactive\"} 1.0"))
        #expect(first.contains("node_systemd_unit_state{name=\"c.timer\", state=\"active\"} 1.0"))
        #expect(!first.contains { $0.contains("b.mount") })
        #expect(first.contains("node_systemd_units{state=\"active\"} 2.0"))
        #expect(lines(15) == first && lines(45) == first)
        #expect(fake.questions == 1)
        // It does not answer any more: left alone for ten minutes.
        #expect(lines(60).isEmpty && lines(120).isEmpty && lines(600).isEmpty)
        #expect(fake.questions == 2)
        _ = lines(660)
        #expect(fake.questions == 3)
    }
}
