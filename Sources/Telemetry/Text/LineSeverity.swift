/// How bad a line is, as stores keep it and queries see it under the label `detected_level`: what labels say comes
/// before what the text says. One rule for all, so that what was stored and what is found out later never differ.
package enum LineSeverity {
    /// The label that a line gets, unless it came with one.
    package static let label = "detected_level"
    /// Labels that tell a severity, in the order in which they are believed.
    package static let labelNames = ["level", "severity", "severity_text", "lvl", "loglevel"]
    /// What is stored of a line that came with a `detected_level` of its own, which may be any text.
    package static let own: UInt8 = 8
    /// One more than the largest number that is stored.
    package static let bound = 9

    /// The severity that labels tell; nil where they tell none.
    package static func severity(of labels: Labels) -> Severity? {
        for name in labelNames {
            guard let word = labels[name], case let severity = Severity(word: word), severity != .unknown else {
                continue
            }
            return severity
        }
        return nil
    }

    /// What is stored of all lines of a stream whatever their text is; nil where each line tells it itself.
    package static func number(ofStream labels: Labels) -> UInt8? {
        labels[label] != nil ? own : severity(of: labels)?.rawValue
    }

    /// What is stored of a line of a stream that does not tell it.
    package static func number(of line: UnsafeRawBufferPointer, metadata: Labels = .empty) -> UInt8 {
        if !metadata.isEmpty {
            if metadata[label] != nil { return own }
            if let severity = severity(of: metadata) { return severity.rawValue }
        }
        return SeverityDetector.severity(of: line).rawValue
    }

    /// The name that a stored number stands for; nil for a line with a text of its own.
    package static func name(of number: UInt8) -> String? { Severity(rawValue: number)?.name }
}

/// Some of the severities.
package struct SeveritySet: OptionSet, Hashable, Sendable {
    package let rawValue: UInt16

    package init(rawValue: UInt16) {
        self.rawValue = rawValue
    }

    /// The severities whose names satisfy `condition`.
    package init(_ condition: (String) -> Bool) {
        self.init(Severity.allCases.filter { condition($0.name) }.map { SeveritySet(number: $0.rawValue) })
    }

    /// What a line may have for which this number was stored.
    package init(number: UInt8) {
        self.init(rawValue: 1 << UInt16(number & 15))
    }

    /// All severities, and lines with a `detected_level` of their own.
    package static let all = SeveritySet(rawValue: 1 << UInt16(LineSeverity.bound) - 1)
    /// Lines with a `detected_level` of their own.
    package static let own = SeveritySet(number: LineSeverity.own)
}
