internal import TestSupport
internal import Testing

@testable import Telemetry

@Suite struct LabelsTests {
    @Test func ordersPairsAndKeepsTheLastOfAName() {
        let pairs: [(name: String, value: String)] = [
            ("b", "2"), ("a", "1"), ("b", "3"), ("empty", ""), ("", "x"), ("a", "0"),
        ]
        let labels = Labels(pairs)
        #expect(labels.pairs.map { "\($0.name)=\($0.value)" } == ["a=0", "b=3"])
        #expect(labels.count == 2)
        #expect(labels["b"] == "3")
        #expect(labels["empty"] == nil)
        #expect(labels == Labels(["a": "0", "b": "3"]))
    }

    @Test func anEmptyValueThatComesLastRemovesTheName() {
        #expect(Labels([(name: "a", value: "1"), (name: "a", value: "")]).isEmpty)
    }

    @Test func tellsTwoSpellingsApart() {
        let composed = "\u{e9}"
        let decomposed = "e\u{301}"
        let labels = Labels([(name: composed, value: "1"), (name: decomposed, value: "2")])
        #expect(labels.count == 2)
        #expect(labels[composed] == "1")
        #expect(labels[decomposed] == "2")
        #expect(Labels(["a": composed]) != Labels(["a": decomposed]))
        #expect(!LabelMatcher.equal("a", composed).matches(decomposed))
    }

    @Test func describesItselfAsPromQLWritesIt() {
        #expect(Labels(["__name__": "up"]).description == "up")
        #expect(Labels(["__name__": "up", "a": "q\"\n"]).description == #"up{a="q\"\n"}"#)
        #expect(Labels.empty.description == "{}")
        #expect(Labels(["a": "b"]).description == #"{a="b"}"#)
    }

    @Test func settingIsTheSameAsBuildingAnew() {
        var random = SeededGenerator(seed: 2)
        for _ in 0..<3000 {
            let pairs = (0..<random.int(in: 0..<6)).map { _ in
                (name: "n\(random.int(in: 0..<8))", value: random.oneIn(6) ? "" : "v\(random.int(in: 0..<4))é")
            }
            let labels = Labels(pairs)
            let name = random.oneIn(20) ? "" : "n\(random.int(in: 0..<8))"
            let value: String? = random.oneIn(4) ? nil : random.oneIn(4) ? "" : "new"
            let expected = Labels(labels.pairs.filter { $0.name != name } + [(name, value ?? "")])
            #expect(labels.setting(name, to: value) == expected)
            #expect(Labels(validating: labels.encoded) == labels)
            let kept = Set(pairs.prefix(2).map(\.name))
            #expect(labels.keeping(kept) == Labels(labels.pairs.filter { kept.contains($0.name) }))
            #expect(labels.dropping(kept) == Labels(labels.pairs.filter { !kept.contains($0.name) }))
        }
    }

    @Test func theBuilderIsReusedAndTellsRepetition() {
        var builder = LabelsBuilder()
        builder.add("b", "1")
        builder.add("a", "2")
        #expect(builder.count == 2)
        #expect(builder.buildWithoutRepetition() == Labels(["a": "2", "b": "1"]))
        #expect(builder.buildWithoutRepetition() == .empty)
        builder.add("a", "1")
        builder.add("a", "1")
        #expect(builder.buildWithoutRepetition() == nil)
        for index in (0..<200).reversed() { builder.add("n\(index % 100)", "\(index)") }
        let many = builder.build()
        #expect(many.count == 100)
        #expect(many["n7"] == "7", "the last one added counts")
        #expect(Labels(validating: many.encoded) == many)
    }

    @Test func ordersAsPrometheusDoes() {
        let ordered = [
            Labels.empty, Labels(["a": "1"]), Labels(["a": "1", "b": "1"]), Labels(["a": "10"]), Labels(["a": "2"]),
            Labels(["b": "0"]),
        ]
        for (left, right) in zip(ordered, ordered.dropFirst()) {
            #expect(left < right)
            #expect(!(right < left))
        }
        #expect(!(ordered[1] < ordered[1]))
    }

    @Test(
        arguments: [
            [1], [1, 0x61], [1, 0x61, 1], [0, 1, 0x61], [1, 0x61, 0], [1, 0xff, 1, 0x61], [1, 0x61, 1, 0xff],
            [1, 0x62, 1, 0x31, 1, 0x61, 1, 0x31], [1, 0x61, 1, 0x31, 1, 0x61, 1, 0x31], [0x81, 0, 0x61, 1, 0x31],
            [1, 0x61, 0x81, 0x80, 0, 0x31], [0xff, 0xff, 0xff, 0xff, 0xff, 0x7f],
        ] as [[UInt8]])
    func refusesBytesThatAreNotCanonical(bytes: [UInt8]) { #expect(Labels(validating: bytes) == nil) }

    @Test func keepsLongValues() {
        let value = String(repeating: "x", count: 70_000)
        let labels = Labels(["a": value, "b": "c"])
        #expect(labels["a"] == value)
        #expect(Labels(validating: labels.encoded) == labels)
    }
}

/// Any bytes are refused or are the one encoding of the labels they stand for.
struct LabelsFuzzer: Fuzzer {
    static let name = "labels"

    static func run(seed: UInt64, events: Int) throws {
        var random = SeededGenerator(seed: seed)
        for event in 0..<events {
            let pairs = (0..<random.int(in: 0..<5)).map { _ in
                (name: "n\(random.int(in: 0..<9))", value: String(repeating: "v", count: random.int(in: 0..<200)))
            }
            var bytes = Labels(pairs).encoded
            for _ in 0..<random.int(in: 0..<4) where !bytes.isEmpty {
                let index = random.int(in: 0..<bytes.count)
                if random.oneIn(3) {
                    bytes.remove(at: index)
                } else if random.oneIn(2) {
                    bytes[index] = UInt8(truncatingIfNeeded: random.next())
                } else {
                    bytes.insert(random.pick([0, 1, 0x80, 0xff]), at: index)
                }
            }
            guard let labels = Labels(validating: bytes) else { continue }
            guard Labels(labels.pairs).encoded == bytes else {
                throw FuzzFinding(seed: seed, event: event, "two encodings of one label set: \(bytes)")
            }
        }
    }
}

@Suite struct LabelsFuzzerTests {
    @Test func smoke() throws { try LabelsFuzzer.runFromTable() }
}
