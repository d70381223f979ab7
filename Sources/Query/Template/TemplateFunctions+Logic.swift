/// Functions built into Go's templates: comparison, `index`, `slice`, `len`, and the names of the logical ones.
extension TemplateFunctions {
    static let logic: [String: Function] = [
        "and": make(many) { arguments, _ in arguments.first { !$0.isTrue } ?? arguments[arguments.count - 1] },
        "or": make(many) { arguments, _ in arguments.first { $0.isTrue } ?? arguments[arguments.count - 1] },
        "not": make(1...1) { arguments, _ in .boolean(!arguments[0].isTrue) },
        "eq": make(2...1000) { (arguments, _) throws(Failure) in
            for other in arguments.dropFirst() where try areEqual(arguments[0], other) { return .boolean(true) }
            return .boolean(false)
        },
        "ne": make(2...2) { (arguments, _) throws(Failure) in .boolean(!(try areEqual(arguments[0], arguments[1]))) },
        "lt": make(2...2) { (arguments, _) throws(Failure) in .boolean(try isLess(arguments[0], arguments[1])) },
        "le": make(2...2) { (arguments, _) throws(Failure) in
            let isEqual = try areEqual(arguments[0], arguments[1])
            return .boolean(isEqual ? true : try isLess(arguments[0], arguments[1]))
        },
        "gt": make(2...2) { (arguments, _) throws(Failure) in
            let isAtMost = try isLess(arguments[0], arguments[1])
            return .boolean(isAtMost ? false : !(try areEqual(arguments[0], arguments[1])))
        },
        "ge": make(2...2) { (arguments, _) throws(Failure) in .boolean(!(try isLess(arguments[0], arguments[1]))) },
        "len": make(1...1) { (arguments, _) throws(Failure) in
            switch arguments[0] {
            case .text(let text): return .integer(Int64(text.utf8.count))
            case .list(let list): return .integer(Int64(list.count))
            case .map(let map): return .integer(Int64(map.count))
            case .object(let members): return .integer(Int64(members.count))
            default: throw Failure(message: "len of type \(arguments[0].typeName)")
            }
        },
        "index": make(1...3) { (arguments, _) throws(Failure) in
            var value = arguments[0]
            for key in arguments.dropFirst() { value = try element(of: value, key) }
            return value
        },
        "slice": make(1...3) { (arguments, _) throws(Failure) in try slice(arguments) },
    ]

    private static func areEqual(_ left: TemplateValue, _ right: TemplateValue) throws(Failure) -> Bool {
        switch (left, right) {
        case (.text(let a), .text(let b)): return a == b
        case (.integer(let a), .integer(let b)): return a == b
        case (.float(let a), .float(let b)): return a == b
        case (.boolean(let a), .boolean(let b)): return a == b
        case (.duration(let a), .duration(let b)): return a == b
        case (.nothing, _), (_, .nothing): return left == right
        default: throw Failure(message: mismatch(left, right))
        }
    }

    private static func isLess(_ left: TemplateValue, _ right: TemplateValue) throws(Failure) -> Bool {
        switch (left, right) {
        // By bytes, as Go compares text.
        case (.text(let a), .text(let b)): return a.utf8.lexicographicallyPrecedes(b.utf8)
        case (.integer(let a), .integer(let b)): return a < b
        case (.float(let a), .float(let b)): return a < b
        case (.duration(let a), .duration(let b)): return a < b
        default: throw Failure(message: mismatch(left, right))
        }
    }

    private static func mismatch(_ left: TemplateValue, _ right: TemplateValue) -> String {
        let isNumbers = [left, right].allSatisfy { value in
            switch value {
            case .integer, .float: true
            default: false
            }
        }
        let advice = isNumbers ? ": write the whole number with a point, as in 90.0" : ""
        return "incompatible types for comparison (\(left.typeName) and \(right.typeName))\(advice)"
    }

    private static func element(of value: TemplateValue, _ key: TemplateValue) throws(Failure) -> TemplateValue {
        switch (value, key) {
        case (.map(let map), .text(let name)): return .text(map[name] ?? "")
        case (.object(let members), .text(let name)): return members[name] ?? .nothing
        case (.list(let list), .integer(let index)):
            guard index >= 0, index < list.count else { throw Failure(message: "index out of range: \(index)") }
            return list[Int(index)]
        case (.text(let text), .integer(let index)):
            let bytes = Array(text.utf8)
            guard index >= 0, index < bytes.count else { throw Failure(message: "index out of range: \(index)") }
            return .integer(Int64(bytes[Int(index)]))
        case (.nothing, _): throw Failure(message: "index of untyped nil")
        default: throw Failure(message: "can't index item of type \(value.typeName) with \(key.typeName)")
        }
    }

    private static func slice(_ arguments: [TemplateValue]) throws(Failure) -> TemplateValue {
        var bounds: [Int] = []
        for argument in arguments.dropFirst() {
            guard case .integer(let bound) = argument, bound >= 0, bound <= Int64(Int32.max) else {
                throw Failure(message: "cannot index slice/array with \(argument.typeName)")
            }
            bounds.append(Int(bound))
        }
        func range(_ count: Int) throws(Failure) -> Range<Int> {
            let lower = bounds.first ?? 0
            let upper = bounds.count > 1 ? bounds[1] : count
            guard upper <= count, lower <= upper else {
                throw Failure(message: "index out of range: \(max(lower, upper))")
            }
            return lower..<upper
        }
        switch arguments[0] {
        case .text(let text):
            let bytes = Array(text.utf8)
            return .text(String(decoding: bytes[try range(bytes.count)], as: UTF8.self))
        case .list(let list): return .list(Array(list[try range(list.count)]))
        default: throw Failure(message: "can't slice item of type \(arguments[0].typeName)")
        }
    }
}
