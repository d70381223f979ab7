internal import Telemetry

/// A path into a JSON value: `user.tags[0]["first name"]`.
struct JSONPath: Sendable {
    private enum Step: Sendable {
        case key(String)
        case index(Int)
    }

    private let steps: [Step]

    /// Nil when the text is no path.
    init?(_ text: String) {
        var scanner = TextScanner(text)
        var steps: [Step] = []
        while scanner.peek() != nil {
            if scanner.accept("[") {
                guard let step = JSONPath.bracketed(&scanner) else { return nil }
                steps.append(step)
                continue
            }
            if !steps.isEmpty, !scanner.accept(".") { return nil }
            scanner.start = scanner.position
            guard scanner.peek()?.isAlpha == true else { return nil }
            scanner.acceptRun { $0.isAlphaNumeric }
            steps.append(.key(scanner.word))
        }
        guard !steps.isEmpty else { return nil }
        self.steps = steps
    }

    /// `0]` or `"name"]`.
    private static func bracketed(_ scanner: inout TextScanner) -> Step? {
        scanner.start = scanner.position
        let step: Step
        if scanner.accept("\"") {
            while let byte = scanner.peek(), byte != UInt8(ascii: "\"") {
                scanner.position += byte == UInt8(ascii: "\\") ? 2 : 1
            }
            guard scanner.accept("\""), let name = StringLiteralText.unquoted(scanner.word) else { return nil }
            step = .key(name)
        } else {
            scanner.acceptRun { $0.isDigit }
            guard let index = Int(scanner.word) else { return nil }
            step = .index(index)
        }
        return scanner.accept("]") ? step : nil
    }

    /// The value at the path as text, nil when there is none; a null is empty, objects and arrays are as written.
    func find(in scanner: inout JSONScanner) throws(ByteError) -> String? {
        for step in steps {
            switch (step, try scanner.peek()) {
            case (.key(let name), .object):
                guard try JSONPath.enter(name, &scanner) else { return nil }
            case (.index(let index), .array):
                guard try JSONPath.enter(index, &scanner) else { return nil }
            default: return nil
            }
        }
        switch try scanner.peek() {
        case .null: return ""
        case .string: return try scanner.string().string
        default: return String(decoding: try scanner.skipValue(), as: UTF8.self)
        }
    }

    private static func enter(_ name: String, _ scanner: inout JSONScanner) throws(ByteError) -> Bool {
        try scanner.enterObject()
        while let key = try scanner.nextKey() {
            if key.string == name { return true }
            try scanner.skipValue()
        }
        return false
    }

    private static func enter(_ index: Int, _ scanner: inout JSONScanner) throws(ByteError) -> Bool {
        try scanner.enterArray()
        var position = 0
        while try scanner.nextElement() {
            if position == index { return true }
            try scanner.skipValue()
            position += 1
        }
        return false
    }
}
