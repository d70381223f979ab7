internal import Crypto
package import Telemetry

/// One entry of `relabel_configs` or `metric_relabel_configs`: Prometheus' semantics, on labels as a dictionary.
package struct RelabelRule: Sendable, Equatable {
    /// What the rule does with the labels.
    package enum Action: String, Sendable, CaseIterable {
        case replace
        case keep
        case drop
        case keepequal
        case dropequal
        case hashmod
        case labelmap
        case labeldrop
        case labelkeep
        case lowercase
        case uppercase
    }

    package var action: Action
    package var sourceLabels: [String]
    package var separator: String
    /// Matches the whole of what it is given; Prometheus' default is `(.*)`.
    package var pattern: RegularExpression
    package var targetLabel: String
    package var replacement: String
    /// Of `hashmod`.
    package var modulus: UInt64

    /// A rule with Prometheus' defaults for what is not given. Throws when `regex` is no regular expression.
    package init(
        _ action: Action = .replace, sourceLabels: [String] = [], separator: String = ";", regex: String = "(.*)",
        targetLabel: String = "", replacement: String = "$1", modulus: UInt64 = 0
    ) throws(RegularExpressionError) {
        self.action = action
        self.sourceLabels = sourceLabels
        self.separator = separator
        pattern = try RegularExpression(RelabelRule.anchored(regex))
        self.targetLabel = targetLabel
        self.replacement = replacement
        self.modulus = modulus
    }

    package static func == (left: RelabelRule, right: RelabelRule) -> Bool {
        left.action == right.action && left.sourceLabels == right.sourceLabels && left.separator == right.separator
            && left.pattern.pattern == right.pattern.pattern && left.targetLabel == right.targetLabel
            && left.replacement == right.replacement && left.modulus == right.modulus
    }

    /// The labels after all `rules`; nil when one of them dropped the target or the sample.
    package static func apply(_ rules: [RelabelRule], to labels: [String: String]) -> [String: String]? {
        var labels = labels
        for rule in rules where !rule.apply(to: &labels) { return nil }
        return labels.filter { !$0.value.isEmpty }
    }

    /// As Prometheus anchors them: the dot matches line ends too.
    private static func anchored(_ regex: String) -> String { "^(?s:\(regex))$" }

    /// Changes the labels; false when they are dropped.
    private func apply(to labels: inout [String: String]) -> Bool {
        let value = sourceLabels.map { labels[$0] ?? "" }.joined(separator: separator)
        switch action {
        case .replace: replace(value, &labels)
        case .keep: return pattern.matches(value)
        case .drop: return !pattern.matches(value)
        case .keepequal: return labels[targetLabel] ?? "" == value
        case .dropequal: return labels[targetLabel] ?? "" != value
        case .hashmod: labels[targetLabel] = String(RelabelRule.hash(value) % max(1, modulus))
        case .lowercase: labels[targetLabel] = value.lowercased()
        case .uppercase: labels[targetLabel] = value.uppercased()
        case .labelmap:
            for (name, value) in labels.sorted(by: { $0.key < $1.key }) {
                guard let mapped = expand(replacement, matching: name) else { continue }
                labels[mapped] = value
            }
        case .labeldrop: labels = labels.filter { !pattern.matches($0.key) }
        case .labelkeep: labels = labels.filter { pattern.matches($0.key) }
        }
        return true
    }

    private func replace(_ value: String, _ labels: inout [String: String]) {
        guard let target = expand(targetLabel, matching: value), LabelName.isValid(target),
            let text = expand(replacement, matching: value)
        else { return }
        labels[target] = text.isEmpty ? nil : text
    }

    /// `template` with the groups of the match of `value`; nil where it does not match. As Go's `Regexp.Expand`: `$1`,
    /// `${1}`, `$name`, `$$`; a group that is not there is empty.
    private func expand(_ template: String, matching value: String) -> String? {
        let bytes = Array(value.utf8)
        return bytes.withUnsafeBytes { raw -> String? in
            guard let groups = pattern.firstMatch(in: raw) else { return nil }
            let names = pattern.groupNames
            return RelabelRule.expand(template) { name in
                let index = Int(name) ?? names.firstIndex(of: name).map { $0 + 1 } ?? -1
                guard groups.indices.contains(index), let range = groups[index] else { return "" }
                return String(decoding: raw[range], as: UTF8.self)
            }
        }
    }

    private static func expand(_ template: String, group: (String) -> String) -> String {
        let source = Array(template.utf8)
        var result: [UInt8] = []
        var index = 0
        while index < source.count {
            guard source[index] == UInt8(ascii: "$"), index + 1 < source.count else {
                result.append(source[index])
                index += 1
                continue
            }
            if source[index + 1] == UInt8(ascii: "$") {
                result.append(UInt8(ascii: "$"))
                index += 2
                continue
            }
            let isBraced = source[index + 1] == UInt8(ascii: "{")
            let start = index + (isBraced ? 2 : 1)
            var end = start
            while end < source.count, LabelName.isNameByte(source[end], isFirst: false, allowsColon: false) { end += 1 }
            let isWhole = end > start && (!isBraced || (end < source.count && source[end] == UInt8(ascii: "}")))
            guard isWhole else {
                result.append(source[index])
                index += 1
                continue
            }
            result += group(String(decoding: source[start..<end], as: UTF8.self)).utf8
            index = isBraced ? end + 1 : end
        }
        return String(decoding: result, as: UTF8.self)
    }

    /// The last eight bytes of the MD5, big-endian, as Prometheus shards by.
    private static func hash(_ value: String) -> UInt64 {
        Array(Insecure.MD5.hash(data: Array(value.utf8))).suffix(8).reduce(0) { $0 << 8 | UInt64($1) }
    }
}
