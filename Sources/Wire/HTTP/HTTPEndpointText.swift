/// Why text is no endpoint: what it was and what would be one.
package struct EndpointError: Error, Equatable, CustomStringConvertible {
    package let description: String
}

extension HTTPEndpoint {
    /// Parses "http://host:port/base", "https://host", "http://[::1]:9797", "unix:///path/to/socket", "tcp://host:port"
    /// (as DOCKER_HOST has it) and "host:port". Throws when it is none, or carries credentials, a query or a fragment.
    package static func parse(_ text: String) throws(EndpointError) -> HTTPEndpoint {
        let wrong = EndpointError(
            description: "\"\(text)\" is no address; write http://HOST:PORT, https://HOST:PORT or unix:///PATH")
        let (scheme, rest) = split(text)
        if scheme == "unix" {
            guard rest.hasPrefix("/"), rest.utf8.count > 1 else { throw wrong }
            return HTTPEndpoint(.unix(path: String(rest)))
        }
        guard ["http", "https", "tcp"].contains(scheme) else { throw wrong }
        let authority = rest.prefix { $0 != "/" && $0 != "?" && $0 != "#" }
        var path = String(rest.dropFirst(authority.count))
        if authority.contains("@") {
            throw EndpointError(description: "an address must not carry credentials; give them in a field of their own")
        }
        guard !path.contains("?"), !path.contains("#"), !path.contains(" ") else { throw wrong }
        while path.hasSuffix("/") { path.removeLast() }
        guard let (host, port) = hostAndPort(authority) else { throw wrong }
        if scheme == "https" { return HTTPEndpoint(.tls(host: host, port: port ?? 443), basePath: path) }
        return HTTPEndpoint(.tcp(host: host, port: port ?? (scheme == "tcp" ? 2375 : 80)), basePath: path)
    }

    /// Splits "HOST:PORT", ":PORT" or "[v6]:PORT" as `--listen` takes it; nil for other text. An empty host is all
    /// interfaces; port 0 lets the system choose.
    package static func listenAddress(_ text: String) -> (host: String, port: Int)? {
        if text.hasPrefix(":") {
            guard let port = port(text.dropFirst()) else { return nil }
            return ("", port)
        }
        guard let (host, port) = hostAndPort(text[...]), let port else { return nil }
        return (host, port)
    }

    private static func split(_ text: String) -> (scheme: String, rest: Substring) {
        guard let mark = text.range(ofText: "://") else { return ("http", text[...]) }
        return (text[..<mark.lowerBound].lowercased(), text[mark.upperBound...])
    }

    private static func hostAndPort(_ authority: Substring) -> (host: String, port: Int?)? {
        if authority.hasPrefix("[") {
            guard let close = authority.firstIndex(of: "]") else { return nil }
            let host = authority[authority.index(after: authority.startIndex)..<close]
            let behind = authority[authority.index(after: close)...]
            guard !host.isEmpty, host.allSatisfy({ $0.isHexDigit || $0 == ":" || $0 == "." || $0 == "%" }) else {
                return nil
            }
            if behind.isEmpty { return (String(host), nil) }
            guard behind.first == ":", let port = port(behind.dropFirst()) else { return nil }
            return (String(host), port)
        }
        let pieces = authority.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
        guard let host = pieces.first, pieces.count <= 2, isHostName(host) else { return nil }
        if pieces.count == 1 { return (String(host), nil) }
        guard let port = port(pieces[1]) else { return nil }
        return (String(host), port)
    }

    private static func isHostName(_ host: Substring) -> Bool {
        !host.isEmpty && host.utf8.count <= 255
            && host.utf8.allSatisfy { byte in
                (byte | 0x20) &- UInt8(ascii: "a") < 26 || byte &- UInt8(ascii: "0") < 10 || byte == UInt8(ascii: "-")
                    || byte == UInt8(ascii: ".") || byte == UInt8(ascii: "_")
            }
    }

    private static func port(_ text: Substring) -> Int? {
        guard !text.isEmpty, text.utf8.allSatisfy({ $0 &- UInt8(ascii: "0") < 10 }), let port = Int(text),
            port <= 65_535
        else { return nil }
        return port
    }
}

extension String {
    /// The first place of `piece`, without Foundation.
    fileprivate func range(ofText piece: String) -> Range<Index>? {
        var start = startIndex
        while start < endIndex {
            if self[start...].hasPrefix(piece) { return start..<index(start, offsetBy: piece.count) }
            start = index(after: start)
        }
        return nil
    }
}
