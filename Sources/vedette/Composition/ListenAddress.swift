internal import Wire

/// HOST:PORT as it is typed.
struct ListenAddress: Equatable {
    let host: String
    let port: Int

    /// Whether every address of the machine is listened on.
    var isEverywhere: Bool { host == "0.0.0.0" || host == "::" }

    /// How this machine asks there: an address that stands for all is none to ask.
    var localHost: String { isEverywhere ? (host == "::" ? "::1" : "127.0.0.1") : host }

    /// Reads "127.0.0.1:9797", "[::1]:9797" or ":9797" (all addresses).
    init(_ text: String) throws {
        guard let (host, port) = HTTPEndpoint.listenAddress(text) else {
            throw CommandFailure.wrongUsage("--listen \(text) is not HOST:PORT; write for example 127.0.0.1:9797")
        }
        self.host = host.isEmpty ? "0.0.0.0" : host
        self.port = port
    }
}
