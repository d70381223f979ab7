/// Finds a text that every match of a regular expression contains, so that a search for it can rule out whole blocks.
/// It understands little and gives up early: what it does not understand has no required text.
package struct RequiredLiteral {
    private let scalars: [Unicode.Scalar]
    private var index = 0
    private var run: [Unicode.Scalar] = []
    private var best: [Unicode.Scalar] = []

    /// The longest such text of `pattern`, nil when none is found.
    package static func find(in pattern: String) -> String? {
        var search = RequiredLiteral(scalars: Array(pattern.unicodeScalars))
        guard search.scan() else { return nil }
        search.endRun()
        guard !search.best.isEmpty else { return nil }
        var text = ""
        text.unicodeScalars.append(contentsOf: search.best)
        return text
    }

    private init(scalars: [Unicode.Scalar]) {
        self.scalars = scalars
    }

    /// Walks the top level of the pattern; false to give up.
    private mutating func scan() -> Bool {
        while index < scalars.count {
            let scalar = scalars[index]
            switch scalar {
            case "|": return false
            case "\\": guard escape() else { return false }
            case "[": guard skipClass() else { return false }
            case "(": guard skipGroup() else { return false }
            case "*", "?", "{": optional()
            case "+", ".", "^", "$":
                endRun()
                index += 1
            default:
                run.append(scalar)
                index += 1
            }
        }
        return true
    }

    /// The element before may be missing: its last character is not required.
    private mutating func optional() {
        if !run.isEmpty { run.removeLast() }
        endRun()
        if scalars[index] == "{" {
            while index < scalars.count, scalars[index] != "}" { index += 1 }
        }
        index += 1
    }

    private mutating func escape() -> Bool {
        guard index + 1 < scalars.count else { return false }
        let next = scalars[index + 1]
        if "dDwWsSbBAz".unicodeScalars.contains(next) {
            endRun()
        } else if next.isASCII, !next.properties.isAlphabetic, !("0"..."9").contains(next) {
            run.append(next)
        } else {
            return false
        }
        index += 2
        return true
    }

    private mutating func skipClass() -> Bool {
        endRun()
        index += 1
        if index < scalars.count, scalars[index] == "^" { index += 1 }
        var isFirst = true
        while index < scalars.count {
            switch scalars[index] {
            case "]" where !isFirst:
                index += 1
                return true
            case "\\": index += 2
            // Named classes hold a bracket of their own.
            case "[": return false
            default: index += 1
            }
            isFirst = false
        }
        return false
    }

    private mutating func skipGroup() -> Bool {
        endRun()
        var depth = 0
        while index < scalars.count {
            switch scalars[index] {
            case "\\": index += 1
            case "[":
                guard skipClass() else { return false }
                index -= 1
            case "(":
                depth += 1
                // Flags reach beyond their group; names and plain groups do not.
                if index + 1 < scalars.count, scalars[index + 1] == "?" {
                    guard index + 2 < scalars.count, [":", "P", "<"].contains(scalars[index + 2]) else { return false }
                }
            case ")":
                depth -= 1
                if depth == 0 {
                    index += 1
                    return true
                }
            default: break
            }
            index += 1
        }
        return false
    }

    private mutating func endRun() {
        if run.count > best.count { best = run }
        run = []
    }
}
