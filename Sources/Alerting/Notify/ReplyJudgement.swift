internal import Telemetry
internal import Wire

/// Decides by status and body whether a web service took a message. Gateways lie: DingTalk, WeCom and Feishu answer 200
/// with an error code in the body, proxies answer 200 with a page to log in.
///
/// The rules for a generic service, in this order:
///  1. 429 and 5xx, 408 and 425: try again, not before `Retry-After`.
///  2. 400, 405, 413, 415, 422: the message itself is refused, for good.
///  3. Other answers below 200 and from 300 on (a wrong address, missing rights): try again, somebody may repair it.
///  4. 2xx with a body that is HTML: try again.
///  5. 2xx with a JSON object in which `errcode`, `code` or `StatusCode` is a number other than 0 (for `code` and
///     `StatusCode` 200 to 299 are fine too), `ok` or `success` is false, `error` is not empty, or `status` is `error`,
///     `fail` or `failure`: try again.
///  6. 2xx whose JSON is cut short: try again.
///  7. Any other 2xx: accepted.
enum ReplyJudgement {
    /// The rules above.
    static func generic(_ reply: HTTPReply) -> DeliveryVerdict {
        let retryAfter = reply.fields["Retry-After"].flatMap(retryAfterMilliseconds)
        switch reply.status {
        case 408, 425, 429, 500...599:
            return .retry(reason: "status \(reply.status)\(excerpt(reply))", afterMilliseconds: retryAfter)
        case 400, 405, 413, 415, 422: return .refused(reason: "status \(reply.status)\(excerpt(reply))")
        case 200...299: return body(reply, retryAfter)
        default: return .retry(reason: "status \(reply.status)\(excerpt(reply))", afterMilliseconds: retryAfter)
        }
    }

    private static func body(_ reply: HTTPReply, _ retryAfter: Int64?) -> DeliveryVerdict {
        let text = reply.body.drop { $0 == 0x20 || $0 == 0x0a || $0 == 0x0d || $0 == 0x09 }
        guard let first = text.first else { return .accepted }
        let isHTML = reply.fields["Content-Type"]?.lowercased().contains("text/html") ?? false
        if first == UInt8(ascii: "<") || isHTML {
            return .retry(
                reason: "status \(reply.status) with a page instead of an answer\(excerpt(reply))",
                afterMilliseconds: retryAfter)
        }
        guard first == UInt8(ascii: "{") else { return .accepted }
        guard let members = try? JSONValue(parsing: Array(text)).members else {
            return .retry(
                reason: "status \(reply.status) with JSON that is cut short or damaged\(excerpt(reply))",
                afterMilliseconds: retryAfter)
        }
        for member in members where isFailure(member.key, member.value) {
            return .retry(
                reason: "status \(reply.status) with an error inside\(excerpt(reply))", afterMilliseconds: retryAfter)
        }
        return .accepted
    }

    private static func isFailure(_ name: String, _ value: JSONValue) -> Bool {
        switch name {
        case "errcode": return number(value).map { $0 != 0 } ?? false
        case "code", "StatusCode": return number(value).map { $0 != 0 && !(200..<300).contains($0) } ?? false
        case "ok", "success": return value == .boolean(false)
        case "error":
            switch value {
            case .null, .boolean(false): return false
            case .string(let text): return !text.isEmpty
            case .integer(let number): return number != 0
            default: return true
            }
        case "status": return value.text.map { ["error", "fail", "failure"].contains($0.lowercased()) } ?? false
        default: return false
        }
    }

    private static func number(_ value: JSONValue) -> Double? {
        switch value {
        case .integer(let number): Double(number)
        case .number(let number): number
        case .string(let text): FloatText.parse(text)
        default: nil
        }
    }

    /// The beginning of the body, for the delivery log.
    private static func excerpt(_ reply: HTTPReply) -> String {
        let text = String(decoding: reply.body.prefix(200), as: UTF8.self)
        let line = text.unicodeScalars.map { $0.value < 0x20 ? " " : String($0) }.joined()
        return line.isEmpty ? "" : ": \(line)"
    }

    /// Seconds only: a date would need the provider's clock to be ours. At most an hour.
    private static func retryAfterMilliseconds(_ text: String) -> Int64? {
        guard let seconds = Int64(text), seconds >= 0 else { return nil }
        return min(seconds, 3600) * 1000
    }
}
