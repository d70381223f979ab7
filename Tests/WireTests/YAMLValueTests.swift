internal import Testing
internal import Wire

/// A YAML file is read strictly, and every complaint says where and what to write instead.
@Suite struct YAMLValueTests {
    private func read(_ text: String) throws -> (name: String, every: Int64?) {
        let root = try #require(try YAMLValue.parse(text, file: "a.yml"))
        var mapping = try root.mapping()
        let name = try mapping.required("name").text()
        let every = try mapping.durationMilliseconds("interval")
        try mapping.finish()
        return (name, every)
    }

    @Test func whatIsAskedForIsRead() throws {
        let (name, every) = try read("name: web\ninterval: 1m30s\n")
        #expect(name == "web")
        #expect(every == 90_000)
    }

    @Test(arguments: [
        ("name: web\nintervall: 5s\n", "a.yml:2:1: unknown key intervall; did you mean interval?"),
        ("name: web\ncolour: red\n", "a.yml:2:1: unknown key colour; known here: interval, name"),
        ("interval: 5s\n", "a.yml:1:1: name is missing"),
        ("name: [a]\n", "a.yml:1:7: text wanted, found a list"),
        ("nmae: web\n", "a.yml:1:1: unknown key nmae; did you mean name?"),
        (
            "name: a\ninterval: 15\n",
            "a.yml:2:11: not a valid duration string: \"15\"; write for example 15s, 5m, 1h30m or 7d"
        ),
        (
            "name: 'a\n",
            "a.yml:2:1: not YAML: found unexpected end of stream while scanning a quoted scalar"
                + "; see whether this line is indented like its neighbours, and whether quotes and brackets are closed"
        ),
        (
            "name:\n\ta: b\n",
            "a.yml:2:1: not YAML: found character that cannot start any token while scanning for the next token"
                + "; YAML is indented with blanks, and there is a tab"
        ),
    ])
    func complaintsNameThePlace(_ text: String, _ message: String) {
        let error = #expect(throws: ConfigurationError.self) { try read(text) }
        #expect(error.map { "\($0)" } == message)
    }

    @Test func keysWrittenTwiceAreRefused() {
        let error = #expect(throws: ConfigurationError.self) { try read("name: a\nname: b\n") }
        #expect(error?.message.contains("name") == true)
    }

    @Test func depthIsBounded() {
        let text = String(repeating: "[", count: 200) + String(repeating: "]", count: 200)
        #expect(throws: ConfigurationError.self) { try YAMLValue.parse(text, file: "a.yml") }
    }
}
