internal import Glibc
internal import ScenarioSupport
internal import Testing

/// Senders and followers that others wrote, against the real binary.
@Suite(.serialized) struct ForeignLogClients {
    /// An environment with `python-logging-loki` and `websocket-client`, and syslog-ng; `make test` sets both up.
    private static let tools = getenv("VEDETTE_TOOLS").map { String(cString: $0) } ?? ""
    private static let python = "\(tools)/loki-client/bin/python"
    private static let syslog = "\(tools)/usr/sbin/syslog-ng"

    private static let program = """
        import json, logging, sys, logging_loki, websocket
        base = sys.argv[1]
        address = base.replace("http", "ws") + "/loki/api/v1/tail?limit=0&query=%7Bapp%3D%22py%22%7D"
        tail = websocket.create_connection(address, timeout=20)
        handler = logging_loki.LokiHandler(url=base + "/loki/api/v1/push", tags={"app": "py"}, version="1")
        log = logging.getLogger("shop")
        log.addHandler(handler)
        log.setLevel(logging.INFO)
        log.info("hello %s", "world")
        log.error("it failed \\"badly\\"\\nline two")
        log.warning("ünïcode ☃", extra={"tags": {"service": "cart"}})
        got = []
        while len(got) < 3:
            for stream in json.loads(tail.recv())["streams"]:
                got += [stream["stream"]["severity"] + ": " + value[1] for value in stream["values"]]
        tail.ping("still there?")
        tail.close()
        print(json.dumps(got, ensure_ascii=False))
        """

    @Test(.enabled(if: access(python, X_OK) == 0, "no \(python); `make test` sets it up"))
    func pythonPushesAndFollows() async throws {
        let scratch = try ScratchFolder("py")
        defer { scratch.remove() }
        let vedette = try await VedetteProcess("server", dataFolder: scratch.file("data"))
        let program = try scratch.write("client.py", ForeignLogClients.program)
        let (status, output) = try ChildProcess.run(
            ForeignLogClients.python, [program, "http://127.0.0.1:\(vedette.port)"])
        #expect(status == 0, "\(output)")
        let got = try JSONTree(output)
        #expect(
            got.array.map(\.string) == [
                "info: hello world", "error: it failed \"badly\"\nline two", "warning: ünïcode ☃",
            ])
        #expect(try await vedette.lines("{app=\"py\", service=\"cart\"}") == ["ünïcode ☃"])
        await vedette.stop()
    }

    @Test(.enabled(if: access(syslog, X_OK) == 0, "no \(syslog); `make test` unpacks it"))
    func syslogPosts() async throws {
        let scratch = try ScratchFolder("sng")
        defer { scratch.remove() }
        let vedette = try await VedetteProcess("server", dataFolder: scratch.file("data"))
        let lines = ["hello from syslog-ng", #"a "quoted" word"#, #"back \ slash"#] + (0..<500).map { "number \($0)" }
        let input = try scratch.write("in.log", lines.joined(separator: "\n") + "\n")
        let configuration = try scratch.write(
            "syslog-ng.conf",
            #"""
            @version: 3.38
            source s { file("\#(input)" follow-freq(0.1) flags(no-parse)); };
            rewrite quoted {
              subst('\', '\\', value("MESSAGE") type("string") flags("substring", "global"));
              subst('"', '\"', value("MESSAGE") type("string") flags("substring", "global"));
            };
            destination d {
              http(url("http://127.0.0.1:\#(vedette.port)/loki/api/v1/push") method("POST")
                headers("Content-Type: application/json") batch-lines(100) batch-timeout(100) workers(2)
                body-prefix('{"streams":[') delimiter(',') body-suffix(']}')
                body('{"stream":{"app":"syslog-ng"},"values":[["${R_UNIXTIME}000000000","${MESSAGE}"]]}'));
            };
            log { source(s); rewrite(quoted); destination(d); };
            """#)
        let root = ForeignLogClients.tools
        let libraries = ["usr/lib/syslog-ng", "usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu"].map {
            "\(root)/\($0)"
        }
        let sender = try ChildProcess(
            ForeignLogClients.syslog,
            [
                "-F", "-e", "--no-caps", "-f", configuration, "--module-path=\(root)/usr/lib/syslog-ng/3.38",
                "--persist-file=\(scratch.file("persist"))", "--pidfile=\(scratch.file("pid"))",
                "--control=\(scratch.file("control"))",
            ], logPath: scratch.file("syslog-ng.log"),
            environment: ["LD_LIBRARY_PATH": libraries.joined(separator: ":")])
        await expectSoon("every line is stored", seconds: 30, seen: { sender.output }) {
            let stored = try await vedette.lines("{app=\"syslog-ng\"}")
            return stored.count == lines.count && Set(stored) == Set(lines)
        }
        await sender.stop()
        await vedette.stop()
    }
}
