internal import Agent
internal import Logging
internal import Server
internal import Telemetry
internal import Transport

/// What protects the listener: its certificate, who may join, and who failed at the door.
struct ListenerSecurity: Sendable {
    /// Nil for plain HTTP.
    let certificates: ListenerCertificates?
    let tls: TLSServerIdentity?
    /// Nil where nobody can be enrolled.
    let enrolment: AgentEnrolment?
    /// Whom the agent of the same process believes, where the certificate is of the server's own authority.
    let ownTrust: [UInt8]?
    private let handshakes: HandshakeLog

    /// Reads or makes what `tls` asks for. Throws in words.
    static func open(
        _ tls: ConfigurationFile.TLS?, dataFolder: String, listenHost: String, logger: Logger
    ) async throws -> ListenerSecurity {
        let files = EnrolmentFiles(dataFolder: dataFolder)
        let certificates = tls.map {
            ListenerCertificates($0, files: files, listenHost: listenHost, logger: logger)
        }
        let (identity, enrolment) = try await BlockingWork.perform {
            (try certificates?.identity(), try tls.flatMap { try files.enrolment($0) })
        }
        for damage in enrolment?.damage ?? [] { logger.error("\(files.folder)/ledger: \(damage)") }
        return ListenerSecurity(
            certificates: certificates, tls: identity, enrolment: enrolment,
            ownTrust: tls?.certificateFile == nil ? identity?.agentAuthorities : nil, handshakes: HandshakeLog(logger))
    }

    /// How to listen on an address.
    func options(_ listen: ListenAddress) -> HTTPListener.Options {
        var options = HTTPListener.Options(host: listen.host, port: listen.port, tls: tls)
        // Ten thousand agents hold up to four each; the stores and the system keep their share.
        options.connectionsMaximum = min(50_000, max(1_000, AgentLimits.raiseDescriptors() / 4 * 3))
        options.handshakeFailed = handshakes.note
        return options
    }

    /// What is counted here, for `/metrics`.
    var metrics: [StoreMetric] { handshakes.metrics + (enrolment?.metrics ?? []) }
}
