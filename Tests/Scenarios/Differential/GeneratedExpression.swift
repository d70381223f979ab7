/// A PromQL expression made by chance: text with expressions in it, so that one that fails can be cut down.
struct GeneratedExpression: CustomStringConvertible {
    /// What it evaluates to; only the like can stand in for it.
    enum Kind: Hashable {
        case scalar
        case vector
        case matrix
    }

    /// A piece of the text.
    enum Part {
        case text(String)
        indirect case expression(GeneratedExpression)
    }

    let kind: Kind
    private(set) var parts: [Part]

    /// An expression of text and expressions.
    init(_ kind: Kind, _ parts: Part...) {
        self.kind = kind
        self.parts = parts
    }

    /// An expression without any in it.
    init(_ kind: Kind, _ text: String) {
        self.kind = kind
        parts = [.text(text)]
    }

    var description: String {
        parts.map { part in
            switch part {
            case .text(let text): text
            case .expression(let inner): inner.description
            }
        }.joined()
    }

    /// Expressions of the same kind that are smaller: what stands in it, it with something smaller in it, and the
    /// simplest of all. The smallest come first.
    var reductions: [GeneratedExpression] {
        var all = inside.filter { $0.kind == kind }
        for (index, part) in parts.enumerated() {
            guard case .expression(let inner) = part else { continue }
            for smaller in inner.reductions {
                var changed = self
                changed.parts[index] = .expression(smaller)
                all.append(changed)
            }
        }
        all += simplest
        let size = description.utf8.count
        return all.filter { $0.description.utf8.count < size }.sorted {
            $0.description.utf8.count < $1.description.utf8.count
        }
    }

    private var inside: [GeneratedExpression] {
        parts.flatMap { part -> [GeneratedExpression] in
            guard case .expression(let inner) = part else { return [] }
            return [inner] + inner.inside
        }
    }

    private var simplest: [GeneratedExpression] {
        switch kind {
        case .scalar: [GeneratedExpression(.scalar, "1")]
        case .vector: DifferentialData.metrics.map { GeneratedExpression(.vector, $0) }
        case .matrix: DifferentialData.metrics.map { GeneratedExpression(.matrix, "\($0)[5m]") }
        }
    }
}

extension GeneratedExpression.Part: ExpressibleByStringLiteral {
    init(stringLiteral text: String) { self = .text(text) }
}
