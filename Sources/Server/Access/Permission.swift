/// What a route lets one do. Every route declares one of these in `RouteTable`, every token gives some of them.
package enum Permission: String, Sendable, Hashable, CaseIterable {
    /// Ask for samples, lines, rules, alerts, status.
    case read
    /// Send samples, lines and events; an agent also fetches its commands and reports on them.
    case ingest
    /// Create and end silences.
    case silence
    /// Approve and pause remedies: what touches running containers.
    case act
    /// Reload, seal, snapshot, kill queries.
    case admin
}

/// Who asks, and what for.
package struct Principal: Sendable, Hashable {
    /// The name of the token, or of the way the request came in.
    package var name: String
    package var permissions: Set<Permission>

    /// A principal.
    package init(name: String, permissions: Set<Permission>) {
        self.name = name
        self.permissions = permissions
    }

    /// Somebody on this machine, where no tokens are configured.
    static let local = Principal(name: "local", permissions: Set(Permission.allCases))

    /// Anybody: no tokens are configured and the operator has said `--insecure`.
    static let anybody = Principal(name: "anonymous", permissions: Set(Permission.allCases))
}

/// A secret that stands for a principal.
package struct AccessToken: Sendable {
    package var secret: [UInt8]
    package var principal: Principal

    /// A token; the secret is compared without its surrounding white space having been removed here.
    package init(secret: [UInt8], principal: Principal) {
        self.secret = secret
        self.principal = principal
    }
}
