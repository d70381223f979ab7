import Glibc
import Synchronization
import Telemetry
import TestSupport
import Testing

@testable import Agent

/// Syslog messages: their two forms, their framing, and the sockets they come through.
@Suite struct SyslogTests {
    private static func message(_ text: String) -> SyslogMessage {
        Array(text.utf8).withUnsafeBytes { SyslogMessage($0) }
    }

    @Test func theExampleOfRFC5424() {
        let message = Self.message(
            "<34>1 2003-10-11T22:14:15.003Z mymachine.example.com su 77 ID47 - 'su root' failed for lonvick")
        #expect(message.facility == 4)
        #expect(message.severity == 2)
        #expect(message.nanoseconds == Timestamps.nanoseconds(rfc3339: "2003-10-11T22:14:15.003Z"))
        #expect(message.host == "mymachine.example.com")
        #expect(message.application == "su")
        #expect(message.process == "77")
        #expect(String(decoding: message.text, as: UTF8.self) == "'su root' failed for lonvick")
    }

    @Test func structuredDataStaysInFrontOfTheTextAndAByteOrderMarkGoes() {
        let message = Self.message("<165>1 - - app - - [id@1 a=\"b c\"] text")
        #expect(String(decoding: message.text, as: UTF8.self) == "[id@1 a=\"b c\"] text")
        #expect(message.nanoseconds == nil)
        #expect(message.host.isEmpty)
        #expect(String(decoding: Self.message("<13>1 - - - - - - \u{feff}x").text, as: UTF8.self) == "x")
    }

    @Test(arguments: [
        ("<34>Oct 11 22:14:15 mymachine su: 'su root' failed", "mymachine", "su", "", "'su root' failed"),
        ("<13>Feb  5 17:32:18 10.0.0.99 app[123]: text", "10.0.0.99", "app", "123", "text"),
        ("<86>Nov 23 08:33:03 sshd[7]: local, without a host", "", "sshd", "7", "local, without a host"),
        ("<30>2026-11-23T08:33:03.5+08:00 web nginx: high precision", "web", "nginx", "", "high precision"),
        ("<191>no time at all", "", "", "", "no time at all"), ("no header", "", "", "", "no header"),
        ("<999>no priority", "", "", "", "<999>no priority"), ("<13>", "", "", "", ""),
    ])
    func theTraditionalForm(_ text: String, _ host: String, _ program: String, _ process: String, _ words: String) {
        let message = Self.message(text + "\n")
        #expect(message.host == host)
        #expect(message.application == program)
        #expect(message.process == process)
        #expect(String(decoding: message.text, as: UTF8.self) == words)
    }

    private static func frames(_ pieces: [String]) -> [String] {
        var framing = SyslogFraming()
        var messages: [String] = []
        for piece in pieces {
            Array(piece.utf8).withUnsafeBytes { raw in
                framing.take(raw) { messages.append(String(decoding: $0, as: UTF8.self)) }
            }
        }
        framing.finish { messages.append(String(decoding: $0, as: UTF8.self)) }
        return messages
    }

    @Test func bothFramingsOnOneConnectionHoweverTheyAreCut() {
        let stream = "10 <13>a\nbc d9 <13>count<13>line one\n<13>line two\n<13>no end"
        let wanted = ["<13>a\nbc d", "<13>count", "<13>line one", "<13>line two", "<13>no end"]
        #expect(Self.frames([stream]) == wanted)
        #expect(Self.frames(stream.map { String($0) }) == wanted)
    }

    @Test func aMessageThatIsTooLongIsCutAndTheNextOneIsRead() {
        let long = String(repeating: "x", count: SyslogFraming.messageBytesMaximum + 10)
        let counted = Self.frames(["\(long.utf8.count) \(long)5 <1>ab"])
        #expect(counted.map(\.utf8.count) == [SyslogFraming.messageBytesMaximum, 5])
        let lines = Self.frames(["<1>\(long)", "more\n<1>b\n"])
        #expect(lines.last == "<1>b")
        #expect(lines.count == 2)
    }

    // libc's syslog() ends each message with a zero byte where its socket is a stream.
    @Test func aZeroByteEndsALine() {
        #expect(Self.frames(["<13>a\0<13>b\n\0", "7 <13>c\0d<13>e"]) == ["<13>a", "<13>b", "<13>c\0d", "<13>e"])
    }

    @Test func messagesComeThroughAllFourKindsOfSockets() throws {
        let stage = TailStage()
        AtomicFilePositions.begin(stage.scratch.path)
        let path = "\(stage.scratch.path)/syslog"
        let ports = [Self.freePort(SOCK_DGRAM), Self.freePort(SOCK_STREAM)]
        stage.settings.syslog = [
            .init(.udp(host: "127.0.0.1", port: ports[0])), .init(.tcp(host: "127.0.0.1", port: ports[1])),
            .init(.unix(path: path)), .init(.unixStream(path: "\(path)-stream")),
        ]
        stage.restart()
        stage.pass()
        Self.send("<13>1 - h udp - - - over UDP", to: ports[0], SOCK_DGRAM)
        Self.send("<13>1 - h tcp - - - over TCP\n27 <13>1 - h tcp - - - counted", to: ports[1], SOCK_STREAM)
        let local = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
        let text = Array("<13>Nov 23 08:33:03 local[1]: over a unix socket".utf8)
        _ = UnixAddress.with(path) { sendto(local, text, text.count, 0, $0, $1) }
        close(local)
        let stream = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        let pieces = Array(
            "<13>Nov 23 08:33:03 stream[1]: a line\n30 <13>1 - h stream - - - counted<13>1 - h stream - - - the last"
                .utf8)
        _ = UnixAddress.with("\(path)-stream") { connect(stream, $0, $1) }
        for piece in [pieces[..<30], pieces[30...]] {
            _ = Array(piece).withUnsafeBytes { write(stream, $0.baseAddress, $0.count) }
        }
        close(stream)
        for _ in 0..<100 where stage.sink.texts.count < 7 {
            stage.pass()
            usleep(2_000)
        }
        #expect(
            stage.sink.texts.sorted() == [
                "a line", "counted", "counted", "over TCP", "over UDP", "over a unix socket", "the last",
            ])
        let streams = stage.sink.state.withLock { $0.batches }.flatMap { $0.batch.streams }
        #expect(Set(streams.compactMap { $0.labels["service"] }) == ["udp", "tcp", "local", "stream"])
        #expect(streams.flatMap(\.metadata).allSatisfy { $0.labels["level"] == "info" })
        // Two equal messages of one second are two lines: each has a number of its own.
        #expect(Set(streams.flatMap(\.offsetStarts)).count == 7)
    }

    @Test(arguments: [
        ("udp://127.0.0.1:514", LogSettings.SyslogListener.Transport.udp(host: "127.0.0.1", port: 514)),
        ("tcp://[::1]:601", .tcp(host: "::1", port: 601)), ("unix:///run/x", .unix(path: "/run/x")),
        ("unix-stream:///run/x", .unixStream(path: "/run/x")),
    ])
    func addressesAreRead(_ text: String, _ transport: LogSettings.SyslogListener.Transport) {
        #expect(LogSettings.SyslogListener(text)?.transport == transport)
    }

    @Test(arguments: [
        "", "udp://", "udp://:1", "udp://a", "udp://a:0", "udp://a:70000", "http://a:1", "unix://x", "unix-stream://x",
        "tcp://1",
    ])
    func whatIsNoAddressIsRefused(_ text: String) {
        #expect(LogSettings.SyslogListener(text) == nil)
    }

    private static func loopback(_ port: UInt16) -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        return address
    }

    private static func freePort(_ type: __socket_type) -> UInt16 {
        let descriptor = socket(AF_INET, Int32(type.rawValue), 0)
        defer { close(descriptor) }
        var address = loopback(0)
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                _ = bind(descriptor, $0, length)
                _ = getsockname(descriptor, $0, &length)
            }
        }
        return UInt16(bigEndian: address.sin_port)
    }

    private static func send(_ text: String, to port: UInt16, _ type: __socket_type) {
        let descriptor = socket(AF_INET, Int32(type.rawValue), 0)
        defer { close(descriptor) }
        var address = loopback(port)
        let bytes = Array(text.utf8)
        withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                _ = connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        _ = write(descriptor, bytes, bytes.count)
    }
}
