internal import TestSupport
internal import Testing

@testable import Telemetry

@Suite struct JSONScannerTests {
    func scan(_ text: String, _ body: (inout JSONScanner) throws -> Void) throws {
        try Array(text.utf8).withUnsafeBytes { raw in
            var scanner = JSONScanner(raw)
            return try body(&scanner)
        }
    }

    @Test func readsADockerLogLine() throws {
        let line =
            #"{"log":"caf\u00e9 \ud83d\ude00 \"q\"\n","stream":"stdout","attrs":{"a":[1,{}]},"#
            + #""time":"2024-01-02T03:04:05.6Z"}"#
        try scan(line) { scanner in
            var log = "", stream = "", time = ""
            try scanner.enterObject()
            while let key = try scanner.nextKey() {
                if key == "log" {
                    log = try scanner.string().string
                } else if key == "stream" {
                    stream = try scanner.string().string
                } else if key == "time" {
                    time = try scanner.string().string
                } else {
                    try scanner.skipValue()
                }
            }
            try scanner.finish()
            #expect(log == "café 😀 \"q\"\n")
            #expect(stream == "stdout")
            #expect(time == "2024-01-02T03:04:05.6Z")
        }
    }

    @Test func keepsBytesThatAreNotUTF8() throws {
        let bytes: [UInt8] = [0x22, 0xff, 0x5c, 0x6e, 0xfe, 0x22]
        try bytes.withUnsafeBytes { raw in
            var scanner = JSONScanner(raw)
            let text = try scanner.string()
            #expect(text.unescaped == [0xff, 0x0a, 0xfe])
        }
    }

    @Test(arguments: [
        (#""\ud800""#, "\u{fffd}"), (#""\ud800\ud800\udc00""#, "\u{fffd}\u{10000}"), (#""\udc00x""#, "\u{fffd}x"),
        (#""\ud83dA\u0041""#, "\u{fffd}AA"), (#""\/\b\f\r\t\\""#, "/\u{8}\u{c}\r\t\\"),
    ])
    func resolvesEscapes(text: String, expected: String) throws {
        try scan(text) { scanner in
            let found = try scanner.string().string
            #expect(found == expected)
        }
    }

    @Test(arguments: [
        ("", "byte 0: text ends where a value should be"), ("{", "byte 1: text ends where '}' should be"),
        ("[1,]", "byte 3: ']' where a value should be"), ("{\"a\" 1}", "byte 5: '1' where ':' should be"),
        ("{\"a\":1,}", "byte 7: '}' where a key should be"), ("[1 2]", "byte 3: '2' where ',' or ']' should be"),
        ("01", "byte 0: malformed number"), ("-", "byte 0: malformed number"), ("1.", "byte 0: malformed number"),
        ("1e", "byte 0: malformed number"), ("\"a", "byte 0: string is not closed"),
        ("\"a\u{1}\"", "byte 2: control character within a string"), (#""\x""#, "byte 1: unknown escape in a string"),
        (#""\u12g4""#, "byte 1: \\u wants four hexadecimal digits"), ("truu", "byte 0: 't' where true should be"),
        ("1 2", "byte 2: '2' where the end of the text should be"), ("[}", "byte 1: '}' where a value should be"),
        ("\u{1}", "byte 0: byte 0x01 where a value should be"), ("1e999", "byte 0: number is out of range"),
    ])
    func saysWhatIsWrongAndWhere(text: String, message: String) {
        let error = #expect(throws: ByteError.self) { try JSONValue(parsing: text) }
        #expect(error?.description == message)
    }

    @Test func boundsItsDepth() throws {
        let deepest = String(repeating: "[", count: 128) + String(repeating: "]", count: 128)
        _ = try JSONValue(parsing: deepest)
        #expect(throws: ByteError(offset: 128, reason: "nested deeper than 128")) {
            try JSONValue(parsing: "[" + deepest + "]")
        }
        #expect(throws: ByteError.self) { try scan("[" + deepest + "]") { _ = try $0.skipValue() } }
    }

    @Test func skippingReturnsTheValuesText() throws {
        for value in ["1", "\"a]\"", "[]", "{}", "[[],[1,{\"a\":[]}],2]", "{\"a\":{\"b\":[{}]},\"c\":null}", "true"] {
            try scan(" [ \(value) , 5 ]") { scanner in
                try scanner.enterArray()
                #expect(try scanner.nextElement())
                #expect(String(decoding: try scanner.skipValue(), as: UTF8.self) == value)
                #expect(try scanner.nextElement())
                #expect(try scanner.integer() == 5)
                #expect(try !scanner.nextElement())
                try scanner.finish()
            }
        }
    }

    @Test func findsTheClosingQuoteAtEveryDistance() throws {
        for length in 0..<40 {
            for tail in ["", "x", "xxxxxxxxxxxxxxxx"] {
                let body = String(repeating: "é", count: length / 2) + String(repeating: "a", count: length % 2)
                try scan("\"\(body)\"\(tail)") {
                    let found = try $0.string().string
                    #expect(found == body)
                }
            }
        }
    }

    @Test func readsNumbers() throws {
        try scan("-9223372036854775808") {
            let found = try $0.integer()
            #expect(found == .min)
        }
        try scan("9223372036854775807") {
            let found = try $0.integer()
            #expect(found == .max)
        }
        try scan("9223372036854775808") { scanner in
            var copy = scanner
            #expect(throws: ByteError.self) { try copy.integer() }
            _ = try scanner.number()
        }
        try scan("-0.5e-3") {
            let found = try $0.double()
            #expect(found == -0.0005)
        }
        #expect(
            try JSONValue(parsing: "[1,1.0,1e2,-0,0]").elements == [
                .integer(1), .number(1), .number(100), .number(0), .integer(0),
            ])
    }
}

@Suite struct JSONValueTests {
    @Test func readsAndWritesATree() throws {
        let text = #"{"a":[1,2.5,"x\n",null,true],"b":{"c":{}},"b2":[]}"#
        let value = try JSONValue(parsing: text)
        #expect(value["a"]?[1]?.double == 2.5)
        #expect(value["a"]?[2]?.text == "x\n")
        #expect(value["a"]?[4]?.truth == true)
        #expect(value["b"]?["c"]?.members?.isEmpty == true)
        #expect(value["missing"] == nil)
        #expect(String(decoding: value.encoded, as: UTF8.self) == text)
    }

    @Test func writesWhatGoWrites() {
        var writer = JSONWriter()
        writer.beginObject()
        writer.key("values")
        writer.beginArray()
        writer.sampleTime(milliseconds: 1_435_781_430_781)
        writer.sampleTime(milliseconds: 1_435_781_430_000)
        writer.sampleValue(.infinity)
        writer.sampleValue(1e-7)
        writer.number(.nan)
        writer.number(1.5)
        writer.endArray()
        writer.key("labels")
        writer.labels(Labels(["b": "\"\u{1}\u{7f}é", "a": "1"]))
        writer.member("n", 5)
        writer.endObject()
        #expect(
            String(decoding: writer.bytes, as: UTF8.self)
                == #"{"values":[1435781430.781,1435781430,"+Inf","1e-07","NaN",1.5],"#
                + #""labels":{"a":"1","b":"\"\u0001\u007fé"},"n":5}"#
        )
    }

    @Test func replacesWhatIsNotUTF8() {
        var writer = JSONWriter()
        writer.string([0x61, 0xff, 0x62][...])
        #expect(String(decoding: writer.bytes, as: UTF8.self) == "\"a\u{fffd}b\"")
    }
}
