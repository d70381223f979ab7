internal import Transport
internal import Wire

/// Turns a request into a principal, or says why not.
///
/// With tokens configured, every request needs one (`Authorization: Bearer`, or as the password of `Basic`, which is
/// what Grafana can send). Without, everybody who can reach the listener may do everything: the bind rule keeps that to
/// this machine, and the checks on Host and Origin keep it from web pages that a browser on this machine has open.
struct AccessPolicy: Sendable {
    private let tokens: [AccessToken]

    init(tokens: [AccessToken]) {
        self.tokens = tokens
    }

    /// Who asks. Throws `APIFailure` (401, 403).
    func principal(of request: ListenerRequest) throws(APIFailure) -> Principal {
        guard !tokens.isEmpty else { return try tokenless(request) }
        guard let shown = AccessPolicy.secret(in: request.fields) else {
            throw APIFailure(
                .unauthorized, "this server wants a token: send \"Authorization: Bearer TOKEN\"",
                fields: [HTTPField("WWW-Authenticate", "Bearer realm=\"vedette\", Basic realm=\"vedette\"")])
        }
        // Every token is compared, and each in the same time, so that the time of an answer tells nothing.
        var found: Principal?
        for token in tokens where AccessPolicy.areEqual(token.secret, shown) { found = token.principal }
        guard let found else {
            throw APIFailure(.unauthorized, "the token is not known here; it may have been revoked by a reload")
        }
        return found
    }

    private func tokenless(_ request: ListenerRequest) throws(APIFailure) -> Principal {
        guard request.isLoopback else { return .anybody }
        let host = request.fields["host"] ?? ""
        guard host.isEmpty || AccessPolicy.isLocal(host) else {
            throw APIFailure(
                .forbidden,
                "the request was sent to the host \(host.debugDescription), not to this machine's own name; "
                    + "configure a token to serve under other names (or behind a proxy)")
        }
        if let origin = request.fields["origin"], AccessPolicy.host(ofOrigin: origin) != host {
            throw APIFailure(
                .forbidden,
                "the request comes from the web page \(origin.debugDescription); configure a token to allow that")
        }
        return .local
    }

    private static func host(ofOrigin origin: String) -> String {
        guard let scheme = origin.firstRange(of: "://") else { return origin }
        return String(origin[scheme.upperBound...])
    }

    /// Whether a Host field names this machine as seen from itself.
    static func isLocal(_ host: String) -> Bool {
        var name = Substring(host)
        if name.hasPrefix("[") {
            return name.hasPrefix("[::1]")
        }
        if let colon = name.firstIndex(of: ":") { name = name[..<colon] }
        return name == "localhost" || isLoopbackAddress(name)
    }

    private static func isLoopbackAddress(_ name: Substring) -> Bool {
        let parts = name.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count == 4 && parts.first == "127" && parts.allSatisfy { UInt8($0) != nil }
    }

    private static func secret(in fields: [HTTPField]) -> [UInt8]? {
        guard let value = fields["authorization"] else { return nil }
        let parts = value.split(separator: " ", maxSplits: 1)
        guard parts.count == 2 else { return nil }
        switch parts[0].lowercased() {
        case "bearer": return Array(parts[1].utf8)
        case "basic":
            guard let decoded = Base64Text.decode(parts[1]), let colon = decoded.firstIndex(of: UInt8(ascii: ":"))
            else { return nil }
            return Array(decoded[(colon + 1)...])
        default: return nil
        }
    }

    private static func areEqual(_ left: [UInt8], _ right: [UInt8]) -> Bool {
        guard left.count == right.count else { return false }
        return zip(left, right).reduce(UInt8(0)) { $0 | ($1.0 ^ $1.1) } == 0
    }
}

/// Base64 as RFC 4648 has it, for the credentials of `Basic`.
enum Base64Text {
    /// The bytes that `text` stands for; nil when it is not Base64.
    static func decode(_ text: some StringProtocol) -> [UInt8]? {
        var bytes: [UInt8] = []
        var bits: UInt32 = 0
        var count = 0
        for character in text.utf8 where character != UInt8(ascii: "=") {
            guard let value = value(of: character) else { return nil }
            bits = bits << 6 | UInt32(value)
            count += 6
            if count >= 8 {
                count -= 8
                bytes.append(UInt8(truncatingIfNeeded: bits >> UInt32(count)))
            }
        }
        return bytes
    }

    private static func value(of character: UInt8) -> UInt8? {
        switch character {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): character - UInt8(ascii: "A")
        case UInt8(ascii: "a")...UInt8(ascii: "z"): character - UInt8(ascii: "a") + 26
        case UInt8(ascii: "0")...UInt8(ascii: "9"): character - UInt8(ascii: "0") + 52
        case UInt8(ascii: "+"): 62
        case UInt8(ascii: "/"): 63
        default: nil
        }
    }
}
