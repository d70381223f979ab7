internal import Crypto
internal import Disk
internal import Telemetry
internal import Transport
internal import Wire

/// How the agent is known to its server.
extension NodeAgent {
    /// The way to the server, with what proves the agent. Throws when the data folder is of two agents.
    func serverLink(_ session: AgentSession) throws -> ServerLink {
        if let enrolment, enrolment.value.agent != session.agent {
            throw StorageError(
                .other, operation: "read", path: "\(options.dataFolder)/agent-id",
                detail: "it says \(session.agent), but the enrolment beside it is that of \(enrolment.value.agent); "
                    + "restore the one that was lost, or remove both and enroll again")
        }
        var fields = options.serverFields + [HTTPField(ServerLink.secretField, session.secret)]
        if let run = NodeAgent.run(on: session.host) { fields.append(HTTPField(ServerLink.runField, run)) }
        var link = ServerLink(
            http: ports.http, endpoint: options.server, fields: fields, tlsProfile: options.tlsProfile,
            agent: session.agent, node: session.node, version: options.version, wallClock: ports.wallClock)
        if let enrolment {
            link.complaint = { [clock = ports.wallClock] in
                enrolment.value.standing.validity.refusal(at: clock.nowNanoseconds)
            }
        }
        return link
    }

    /// This boot of the host and this run of the agent: what tells a restart from a clone. nil where the host does not
    /// tell its boots apart.
    private static func run(on host: HostRoot) -> String? {
        guard let boot = host.text("/proc/sys/kernel/random/boot_id"), !boot.isEmpty else { return nil }
        // Hashed: the number itself is nobody else's business.
        let digest = Hexadecimal.text(Array(SHA256.hash(data: Array("vedette \(boot)".utf8)))).prefix(16)
        var generator = SystemRandomNumberGenerator()
        let run = (0..<8).map { _ in UInt8.random(in: .min ... .max, using: &generator) }
        return "\(digest).\(Hexadecimal.text(run))"
    }

    /// What keeps the certificate fresh.
    func renewal(of enrolment: CurrentEnrolment, _ disk: DiskWork) -> CertificateRenewal {
        CertificateRenewal(
            current: enrolment,
            setting: CertificateRenewal.Setting(
                folder: options.dataFolder, storage: ports.storage, http: ports.http, wallClock: ports.wallClock,
                notices: notices, adopt: ports.adopt,
                onDisk: { work in try await disk.perform { Result { try work() } }.get() }))
    }
}
