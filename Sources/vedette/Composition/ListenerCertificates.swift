internal import Disk
internal import Logging
internal import Server
internal import ServiceLifecycle
internal import Synchronization
internal import Telemetry
internal import Transport

/// The certificate that the listener shows: of the operator's files, or of the server's own authority. It follows a
/// reload, and is replaced in time while the server runs.
final class ListenerCertificates: Service {
    /// How long a certificate of the own authority holds; it lives in memory alone.
    private static let ownNanoseconds: Int64 = 90 * 86_400 * 1_000_000_000
    private static let leewayNanoseconds: Int64 = 3_600 * 1_000_000_000
    private static let lookMilliseconds = 60_000

    private struct State {
        var tls: ConfigurationFile.TLS
        /// When the certificate is to be replaced; nil for one of the operator's.
        var renewalNanoseconds: Int64?
        var server: APIServer?
    }

    private let state: Mutex<State>
    private let files: EnrolmentFiles
    private let listenHost: String
    private let wallClock: any WallClock
    private let logger: Logger

    /// The certificates that `tls` asks for.
    init(
        _ tls: ConfigurationFile.TLS, files: EnrolmentFiles, listenHost: String,
        wallClock: any WallClock = SystemWallClock(), logger: Logger
    ) {
        state = Mutex(State(tls: tls))
        self.files = files
        self.listenHost = listenHost
        self.wallClock = wallClock
        self.logger = logger
    }

    /// A fresh identity for the listener. Blocks for files.
    func identity() throws -> TLSServerIdentity {
        let tls = state.withLock { $0.tls }
        var identity: TLSServerIdentity
        if let certificateFile = tls.certificateFile, let keyFile = tls.keyFile {
            identity = TLSServerIdentity(
                certificateChain: try TLSFiles.read(certificateFile, "certificate_file"),
                privateKey: try TLSFiles.read(keyFile, "key_file"))
            state.withLock { $0.renewalNanoseconds = nil }
        } else {
            let now = wallClock.nowNanoseconds
            let validity = CertificateValidity(
                startNanoseconds: now - ListenerCertificates.leewayNanoseconds,
                endNanoseconds: now + ListenerCertificates.ownNanoseconds)
            identity = try files.authority().serverIdentity(names: names(tls), validity: validity)
            state.withLock { $0.renewalNanoseconds = validity.renewalNanoseconds }
        }
        if let path = tls.clientAuthorityFile {
            identity.clientAuthorities = try TLSFiles.read(path, "client_ca_file")
        } else {
            identity.agentAuthorities = try files.authority().certificatePEM
        }
        return identity
    }

    /// The configured names, and those under which this machine reaches itself.
    private func names(_ tls: ConfigurationFile.TLS) -> [String] {
        let isEverywhere = ["0.0.0.0", "::", ""].contains(listenHost)
        var names: [String] = []
        for name in tls.names + (isEverywhere ? [] : [listenHost]) + ["localhost", "127.0.0.1", "::1"]
        where !names.contains(name) {
            names.append(name)
        }
        return names
    }

    /// From now on `server` shows what changes.
    func attach(_ server: APIServer) { state.withLock { $0.server = server } }

    /// Reads the files of `tls` again (a certificate that was replaced on disk). Throws in words; the listener shows
    /// what it showed.
    func reload(_ tls: ConfigurationFile.TLS?) throws {
        let before = state.withLock { $0.tls }
        guard let tls else { throw CommandFailure("server.tls was taken out: the listener needs a restart for that") }
        state.withLock { $0.tls = tls }
        do {
            try show(try identity())
        } catch {
            state.withLock { $0.tls = before }
            throw error
        }
    }

    private func show(_ identity: TLSServerIdentity) throws {
        try state.withLock { $0.server }?.replaceIdentity(identity)
    }

    func run() async throws {
        await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                try? await Task.sleep(for: .milliseconds(ListenerCertificates.lookMilliseconds))
                guard let due = self.state.withLock({ $0.renewalNanoseconds }), self.wallClock.nowNanoseconds >= due
                else { continue }
                do {
                    try await BlockingWork.perform { try self.show(try self.identity()) }
                    self.logger.info("the listener shows a fresh certificate of the server's own authority")
                } catch {
                    self.logger.error("the listener's certificate cannot be replaced: \(error); it is tried again")
                }
            }
        }
    }
}

/// The files of the server's authority in its data folder (docs/formats/enrolment.md).
struct EnrolmentFiles: Sendable {
    /// An authority outlives the machines it vouches for.
    private static let authorityNanoseconds: Int64 = 20 * 365 * 86_400 * 1_000_000_000

    let folder: String
    let storage: any FileStorage
    let wallClock: any WallClock

    /// The files below a server's data folder.
    init(dataFolder: String, storage: any FileStorage = SystemStorage(), wallClock: any WallClock = SystemWallClock()) {
        folder = "\(dataFolder)/enrolment"
        self.storage = storage
        self.wallClock = wallClock
    }

    /// The server's authority, made at first need. One that was lost while agents are enrolled is not replaced in
    /// silence: nobody would be let in any more.
    func authority() throws -> CertificateAuthority {
        let path = "\(folder)/authority.pem"
        if let bytes = try AtomicFile.read(path, in: storage, maximumBytes: 1 << 20) {
            let authority: CertificateAuthority
            do {
                authority = try CertificateAuthority(pem: bytes)
            } catch {
                throw CommandFailure("\(path): \(error); restore it from a backup")
            }
            // Where there is no room for it the server goes on without, and tries again at its next start.
            try? publish(authority)
            return authority
        }
        guard try ledger() == nil else {
            throw CommandFailure(
                "\(path) is missing, and agents are enrolled under it: restore it from a backup. To begin anew, move "
                    + "\(folder)/ledger away as well, and enroll every agent again")
        }
        let now = wallClock.nowNanoseconds
        let authority = try CertificateAuthority.make(
            name: "vedette authority",
            validity: CertificateValidity(
                // A node whose clock is a little behind believes it all the same.
                startNanoseconds: now - 86_400_000_000_000, endNanoseconds: now + EnrolmentFiles.authorityNanoseconds))
        try storage.makeFolder(folder)
        try AtomicFile.write(authority.pem, to: path, in: storage, isSecret: true)
        try publish(authority)
        return authority
    }

    /// Writes the certificate for `--ca-file` of the commands that ask this server, nobody's secret, where it is not
    /// there: a crash may have come between the two files.
    private func publish(_ authority: CertificateAuthority) throws {
        let path = "\(folder)/ca.pem"
        if try AtomicFile.read(path, in: storage, maximumBytes: 1 << 20) == authority.certificatePEM { return }
        try AtomicFile.write(authority.certificatePEM, to: path, in: storage)
    }

    private func ledger() throws -> [UInt8]? {
        try AtomicFile.read("\(folder)/ledger", in: storage, maximumBytes: 256 << 20)
    }

    /// Who may join and who has joined; nil where nobody can.
    func enrolment(_ tls: ConfigurationFile.TLS) throws -> AgentEnrolment? {
        guard tls.clientAuthorityFile == nil else { return nil }
        let authority = try authority()
        // With a certificate of the operator's own, nodes have to be told who vouches for it.
        let trust: [UInt8]
        if tls.certificateFile == nil {
            trust = authority.certificatePEM
        } else {
            guard let path = tls.authorityFile else { return nil }
            trust = try TLSFiles.read(path, "ca_file")
        }
        let (path, storage) = ("\(folder)/ledger", storage)
        do {
            return try AgentEnrolment(
                try ledger(), authority: authority,
                ports: AgentEnrolment.Ports(
                    wallClock: wallClock, certificateNanoseconds: tls.agentCertificateMilliseconds * 1_000_000,
                    trust: trust
                ) { bytes in
                    try await BlockingWork.perform { try AtomicFile.write(bytes, to: path, in: storage) }
                })
        } catch {
            throw CommandFailure("\(path) cannot be used: \(error); restore it (docs/formats/enrolment.md)")
        }
    }
}
