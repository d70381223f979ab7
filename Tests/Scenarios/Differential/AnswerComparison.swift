internal import Foundation
internal import ScenarioSupport

/// An answer of a server: its points by series and time, or the kind of its error.
struct ComparableAnswer {
    private var points: [String: [(time: Double, value: Double)]] = [:]
    private var failure: String?

    init(_ answer: (status: Int, json: JSONTree)) {
        guard answer.status == 200 else {
            failure = answer.json["errorType"].string
            return
        }
        let data = answer.json["data"]
        if data["resultType"].string == "scalar" {
            points["scalar"] = [ComparableAnswer.point(data["result"])]
            return
        }
        for series in data["result"].array {
            let values = series["values"].array + (series["value"].exists ? [series["value"]] : [])
            points["\(series["metric"].strings.sorted { $0.key < $1.key })"] = values.map(ComparableAnswer.point)
        }
    }

    private static func point(_ pair: JSONTree) -> (time: Double, value: Double) {
        (pair[0].number, Double(pair[1].string.lowercased()) ?? .nan)
    }

    /// How `other` differs from this answer; nil when they say the same.
    func difference(_ other: ComparableAnswer, ofDeviations isLax: Bool) -> String? {
        guard failure == other.failure else {
            return "\(failure ?? "an answer") against \(other.failure ?? "an answer")"
        }
        let names = Set(points.keys).symmetricDifference(other.points.keys)
        if let name = names.sorted().first {
            return "\(name) is only in \(points[name] == nil ? "the second" : "the first")"
        }
        for (name, mine) in points.sorted(by: { $0.key < $1.key }) {
            let theirs = other.points[name] ?? []
            guard mine.map(\.time) == theirs.map(\.time) else {
                return "\(name): points at \(mine.map(\.time)) against \(theirs.map(\.time))"
            }
            for (left, right) in zip(mine, theirs) {
                if ComparableAnswer.isNear(left.value, right.value, within: isLax ? 1e-6 : 1e-9) { continue }
                return "\(name) at \(left.time): \(left.value) against \(right.value)"
            }
        }
        return nil
    }

    /// Sums in another order differ in the last digits.
    private static func isNear(_ left: Double, _ right: Double, within tolerance: Double) -> Bool {
        if left == right || (left.isNaN && right.isNaN) { return true }
        guard left.isFinite, right.isFinite else { return false }
        return abs(left - right) <= tolerance * max(1, abs(left), abs(right))
    }
}
