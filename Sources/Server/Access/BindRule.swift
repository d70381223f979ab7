/// Whether an address may be listened on: other machines only with TLS and a token, unless the operator insists.
package enum BindRule {
    /// Why the address is refused, with what to do about it; nil when it may be used.
    package static func refusal(host: String, hasTLS: Bool, hasTokens: Bool, isInsecure: Bool) -> String? {
        if isLoopback(host) || isInsecure || (hasTLS && hasTokens) { return nil }
        var missing: [String] = []
        if !hasTLS { missing.append("TLS (server.tls in --config)") }
        if !hasTokens { missing.append("a token (server.tokens in --config)") }
        return
            "\(host.isEmpty ? "all addresses" : host) can be reached from other machines, and whoever reaches it could "
            + "read everything and act on containers. Missing: \(missing.joined(separator: " and ")). "
            + "Listen on 127.0.0.1, configure what is missing, or take the risk with --insecure"
    }

    /// Why an agent may not send to `host` over plain HTTP, with what to do about it; nil when it may.
    package static func plainRefusal(host: String, isInsecure: Bool) -> String? {
        if isLoopback(host) || isInsecure { return nil }
        return
            "http://\(host) is another machine, and everybody in between could read what this host sends and act in "
            + "the server's name. Enroll the node (`vedette enroll`) and send to https://, or take the risk with "
            + "--insecure"
    }

    private static func isLoopback(_ host: String) -> Bool {
        host == "[::1]" || host == "::1" || (!host.contains(":") && AccessPolicy.isLocal(host))
    }
}
