internal import Crypto
package import Disk
internal import Telemetry
package import Transport
package import Wire

/// What a node has from its enrolment: where its server is, whom to believe, and by what the server knows it. One file
/// (`enrolment` in the agent's data folder, docs/formats/enrolment.md), so that the parts always belong together.
package struct NodeEnrolment: Sendable, Equatable {
    package var server: HTTPEndpoint
    /// The agent's identity, 32 hexadecimal digits.
    package var agent: String
    /// PEM.
    package var certificate: [UInt8]
    /// The key of the certificate, PEM: a secret.
    package var key: [UInt8]
    /// Whom to believe, PEM.
    package var authorities: [UInt8]
    /// What the certificate says.
    package let standing: PeerCertificate

    /// The name of the file in the data folder.
    static let fileName = "enrolment"
    private static let version: Int64 = 1

    /// An enrolment. Throws when the certificate is of no use, or not this agent's and this key's.
    package init(
        server: HTTPEndpoint, agent: String, certificate: [UInt8], key: [UInt8], authorities: [UInt8]
    ) throws(CertificateFailure) {
        self.server = server
        self.agent = agent
        self.certificate = certificate
        self.key = key
        self.authorities = authorities
        standing = try PeerCertificate(pem: certificate)
        guard standing.agent == agent else {
            throw CertificateFailure(
                "the certificate is that of \(standing.agent ?? "nobody"), not of agent \(agent)")
        }
        guard try CertificateKey(pem: key).publicKeyHash == standing.publicKeyHash else {
            throw CertificateFailure("the key does not belong to the certificate")
        }
    }

    /// The TLS profile that proves the agent and believes its server alone.
    package var profile: TLSProfile {
        TLSProfile(authorities: authorities, certificateChain: certificate, privateKey: key)
    }

    /// The enrolment kept in `folder`; nil when the node has none. Throws in words when it is damaged.
    package static func load(folder: String, in storage: any FileStorage) throws -> NodeEnrolment? {
        let path = "\(folder)/\(fileName)"
        guard let bytes = try AtomicFile.read(path, in: storage, maximumBytes: 1 << 20) else { return nil }
        do {
            return try NodeEnrolment(decoding: bytes)
        } catch {
            throw StorageError(
                .other, operation: "read", path: path,
                detail: "\(error); restore it from a backup, or remove it and enroll again with a new token")
        }
    }

    /// Keeps it, as a whole and for its owner alone.
    package func store(folder: String, in storage: any FileStorage) throws {
        try AtomicFile.write(bytes, to: "\(folder)/\(NodeEnrolment.fileName)", in: storage, isSecret: true)
    }

    /// JSON with a check over its texts.
    var bytes: [UInt8] {
        var writer = JSONWriter()
        writer.beginObject()
        writer.member("version", NodeEnrolment.version)
        for (key, text) in NodeEnrolment.keys(texts) { writer.member(key, text) }
        writer.member("check", NodeEnrolment.check(texts))
        writer.endObject()
        return writer.bytes + [UInt8(ascii: "\n")]
    }

    private var texts: [String] {
        ["\(server)", agent] + [certificate, key, authorities].map { String(decoding: $0, as: UTF8.self) }
    }

    private static let names = ["server", "agent", "certificate", "key", "authorities"]
    private static func keys(_ texts: [String]) -> [(String, String)] { Array(zip(names, texts)) }

    private static func check(_ texts: [String]) -> String {
        String(Hexadecimal.text(Array(SHA256.hash(data: Array(texts.joined(separator: "\n").utf8)))).prefix(16))
    }

    /// Reads what `bytes` wrote.
    init(decoding bytes: [UInt8]) throws {
        let value = try JSONValue(parsing: bytes)
        guard let version = value["version"]?.wholeNumber else { throw CertificateFailure("it has no version") }
        guard version == NodeEnrolment.version else {
            throw CertificateFailure("it is of version \(version), this program reads version \(NodeEnrolment.version)")
        }
        let texts = NodeEnrolment.names.map { value[$0]?.text ?? "" }
        guard value["check"]?.text == NodeEnrolment.check(texts) else {
            throw CertificateFailure("it is damaged: its check does not hold")
        }
        try self.init(
            server: try HTTPEndpoint.parse(texts[0]), agent: texts[1], certificate: Array(texts[2].utf8),
            key: Array(texts[3].utf8), authorities: Array(texts[4].utf8))
    }
}

/// The key of a certificate that was asked for and is not here yet. It is kept over a crash, so that whoever asks again
/// is the same for the server.
enum PendingKey {
    private static func path(_ folder: String) -> String { "\(folder)/enrolment-key" }

    /// The key that was left, or a new one, which is on disk when this returns.
    static func take(folder: String, in storage: any FileStorage) throws -> CertificateKey {
        if let bytes = try AtomicFile.read(path(folder), in: storage, maximumBytes: 1 << 16),
            let key = try? CertificateKey(pem: bytes)
        {
            return key
        }
        let key = CertificateKey()
        try AtomicFile.write(key.pem, to: path(folder), in: storage, isSecret: true)
        return key
    }

    /// The certificate is here: the key is kept beside it.
    static func settle(folder: String, in storage: any FileStorage) {
        // One that stays is asked with again, and gives the same agent a certificate: harmless.
        try? storage.remove(path(folder))
    }
}
