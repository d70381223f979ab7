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
        ("name: 'a\n", "a.yml:2:1: not YAML: found unexpected end of stream while scanning a quoted scalar"),
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
