internal import Wire

/// An address of a web service as people write it: `https://user:secret@host:port/path?query`. Its text is a credential
/// and never appears in messages.
struct WebAddress: Hashable, Sendable {
    var endpoint: HTTPEndpoint
    /// Path and query.
    var target: String
    /// The `Authorization` that user and password in the address stand for.
    var authorization: String?

    /// Reads an address; nil when it is none.
    init?(_ text: String) {
        let isSecure = text.lowercased().hasPrefix("https://")
        guard isSecure || text.lowercased().hasPrefix("http://") else { return nil }
        let rest = text.dropFirst(isSecure ? 8 : 7)
        let authority = rest.prefix { $0 != "/" && $0 != "?" && $0 != "#" }
        let path = rest.dropFirst(authority.count).prefix { $0 != "#" }
        var host = authority
        if let at = authority.lastIndex(of: "@") {
            let user = authority[..<at].split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            authorization = WebAddress.basic(String(user[0]), user.count > 1 ? String(user[1]) : "")
            host = authority[authority.index(after: at)...]
        }
        var port = isSecure ? 443 : 80
        if host.hasPrefix("[") {
            guard let close = host.firstIndex(of: "]") else { return nil }
            let behind = host[host.index(after: close)...]
            if !behind.isEmpty {
                guard behind.hasPrefix(":"), let number = Int(behind.dropFirst()) else { return nil }
                port = number
            }
            host = host[host.index(after: host.startIndex)..<close]
        } else if let colon = host.lastIndex(of: ":") {
            guard let number = Int(host[host.index(after: colon)...]) else { return nil }
            port = number
            host = host[..<colon]
        }
        guard !host.isEmpty, !host.contains(" "), (1...65_535).contains(port), !path.contains(where: \.isWhitespace)
        else { return nil }
        endpoint = HTTPEndpoint(
            isSecure ? .tls(host: String(host), port: port) : .tcp(host: String(host), port: port))
        target = path.hasPrefix("/") ? String(path) : "/" + path
    }

    /// The value of `Authorization` for a user and a password.
    static func basic(_ user: String, _ password: String) -> String {
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
        let bytes = Array("\(user):\(password)".utf8)
        var result: [UInt8] = []
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let chunk = bytes[start..<min(start + 3, bytes.count)]
            let value = chunk.reduce(0) { $0 << 8 | UInt32($1) } << UInt32(8 * (3 - chunk.count))
            for index in 0..<4 {
                let isPadding = index > chunk.count
                result.append(isPadding ? UInt8(ascii: "=") : alphabet[Int(value >> UInt32(18 - 6 * index)) & 63])
            }
        }
        return "Basic " + String(decoding: result, as: UTF8.self)
    }
}
