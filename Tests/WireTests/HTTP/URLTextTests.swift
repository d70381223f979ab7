internal import Telemetry
internal import Testing

@testable import Wire

@Suite struct URLTextTests {
    @Test func readsAQuery() throws {
        let query = try QueryString(
            parsing: "query=rate(x%5B5m%5D)+%2B+1&match[]=a&match%5B%5D=b&flag&=empty&&e=%C3%A9")
        #expect(query["query"] == "rate(x[5m]) + 1")
        #expect(query.values(of: "match[]") == ["a", "b"])
        #expect(query["flag"] == "")
        #expect(query["e"] == "é")
        #expect(query[""] == "empty")
        #expect(query["missing"] == nil)
        #expect(try QueryString(parsing: query.encoded) == query)
    }

    @Test(arguments: [
        ("a=%zz", "invalid URL escape \"%zz\""), ("a=%", "invalid URL escape \"%\""),
        ("a=%4", "invalid URL escape \"%4\""),
        ("a=%ff", "invalid URL escape \"%ff\""),
    ])
    func refusesABrokenEscape(text: String, words: String) {
        #expect(throws: QueryString.Malformed(description: words)) { try QueryString(parsing: text) }
    }

    @Test func boundsTheNumberOfParameters() {
        let text = String(repeating: "a&", count: 10_001)
        #expect(throws: QueryString.Malformed(description: "too many parameters")) { try QueryString(parsing: text) }
    }

    @Test func splitsATarget() throws {
        let (path, query) = try QueryString.split(target: "/api/v1/label/a%2Fb/values?start=1#x")
        #expect(path == "/api/v1/label/a%2Fb/values")
        #expect(query["start"] == "1")
        #expect(PercentCoding.decode("a%2Fb+c") == "a/b+c")
        #expect(PercentCoding.encode("a/b c é~") == "a%2Fb%20c%20%C3%A9~")
        #expect(try QueryString.split(target: "/x").query.items.isEmpty)
        #expect(throws: QueryString.Malformed.self) { try QueryString(form: [0xff]) }
    }

    @Test(arguments: [
        ("http://127.0.0.1:9797", HTTPEndpoint(.tcp(host: "127.0.0.1", port: 9797))),
        ("http://host/", HTTPEndpoint(.tcp(host: "host", port: 80))),
        ("https://h.example/base/", HTTPEndpoint(.tls(host: "h.example", port: 443), basePath: "/base")),
        ("HTTP://[::1]:80/a", HTTPEndpoint(.tcp(host: "::1", port: 80), basePath: "/a")),
        ("unix:///var/run/docker.sock", HTTPEndpoint(.unix(path: "/var/run/docker.sock"))),
        ("tcp://10.0.0.1", HTTPEndpoint(.tcp(host: "10.0.0.1", port: 2375))),
        ("node:9797", HTTPEndpoint(.tcp(host: "node", port: 9797))),
    ])
    func readsAnEndpoint(text: String, endpoint: HTTPEndpoint) throws {
        #expect(try HTTPEndpoint.parse(text) == endpoint)
    }

    @Test(arguments: [
        "", "http://", "ftp://x", "http://a:b", "http://a:70000", "http://a b", "unix://relative", "http://u:p@h",
        "http://h?x", "http://h#x", "http://[::1", "http://::1", "http://h:1:2", "unix:///",
    ])
    func refusesOtherText(text: String) { #expect(throws: EndpointError.self) { try HTTPEndpoint.parse(text) } }

    @Test func readsWhatToListenOn() {
        #expect(HTTPEndpoint.listenAddress(":9797").map { "\($0)" } == #"(host: "", port: 9797)"#)
        #expect(HTTPEndpoint.listenAddress("127.0.0.1:0")?.port == 0)
        #expect(HTTPEndpoint.listenAddress("[::]:1")?.host == "::")
        #expect(HTTPEndpoint.listenAddress("9797") == nil)
        #expect(HTTPEndpoint.listenAddress("") == nil)
    }

    @Test func readsMediaTypes() {
        let type = MediaType(parsing: #"Application/JSON ; Charset="utf\"-8"; x=1"#)
        #expect(type?.name == "application/json")
        #expect(type?["charset"] == "utf\"-8")
        #expect(type?["x"] == "1")
        #expect(MediaType(parsing: "json") == nil)
        #expect(MediaType(parsing: "") == nil)
        #expect(MediaType.isAccepted("text/plain", by: "text/html, text/*;q=0.5"))
        #expect(!MediaType.isAccepted("text/plain", by: "application/json"))
        #expect(!MediaType.isAccepted("text/plain", by: "text/plain;q=0"))
        #expect(MediaType.isAccepted("text/plain", by: nil))
    }

    @Test func undoesCodings() throws {
        let body = Array("hello hello hello".utf8)
        for (coding, format) in [
            ("gzip", Compression.gzip), ("X-GZIP", .gzip), ("deflate", .zlib), ("deflate", .deflate), ("zstd", .zstd),
        ] {
            #expect(try ContentCoding.decode(format.compress(body), coding: coding, bytesMaximum: 100) == body)
        }
        #expect(try ContentCoding.decode(body, coding: nil, bytesMaximum: 17) == body)
        #expect(throws: ContentCoding.Failure.unsupported("br")) {
            try ContentCoding.decode(body, coding: "br", bytesMaximum: 100)
        }
        #expect(throws: ContentCoding.Failure.tooLarge("body: body is over 16 bytes")) {
            try ContentCoding.decode(body, coding: "identity", bytesMaximum: 16)
        }
        #expect(throws: ContentCoding.Failure.self) {
            try ContentCoding.decode(body, coding: "gzip", bytesMaximum: 100)
        }
        #expect(throws: ContentCoding.Failure.tooLarge("body: restored size is over 16 bytes")) {
            try ContentCoding.decode(Compression.gzip.compress(body), coding: "gzip", bytesMaximum: 16)
        }
    }
}
