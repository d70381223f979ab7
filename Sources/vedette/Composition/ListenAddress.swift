/// HOST:PORT as it is typed.
struct ListenAddress: Equatable {
    let host: String
    let port: Int

    /// Reads "127.0.0.1:9797", "[::1]:9797" or ":9797" (all addresses).
    init(_ text: String) throws {
        guard let colon = text.lastIndex(of: ":"), let port = Int(text[text.index(after: colon)...]),
            (0...65_535).contains(port)
        else {
            throw CommandFailure("--listen \(text) is not HOST:PORT; write for example 127.0.0.1:9797")
        }
        var host = String(text[..<colon])
        if host.hasPrefix("["), host.hasSuffix("]") { host = String(host.dropFirst().dropLast()) }
        self.host = host.isEmpty ? "0.0.0.0" : host
        self.port = port
    }

    /// The host as it stands in a URL.
    var urlHost: String { host.contains(":") ? "[\(host)]" : host }
}
