internal import Crypto
internal import FoundationEssentials
internal import SwiftASN1
internal import Telemetry
internal import X509

/// What a certificate says about its owner. Whether it is to be believed was decided by the handshake.
package struct PeerCertificate: Sendable, Equatable {
    /// The agent that it stands for; nil when it stands for none.
    package var agent: String?
    /// The SHA-256 of the public key (SubjectPublicKeyInfo), 64 hexadecimal digits.
    package var publicKeyHash: String
    package var validity: CertificateValidity

    /// An agent's name in a certificate is a URI of the alternative names: this, and its 32 digits.
    static let agentPrefix = "urn:vedette:agent:"

    /// Reads a certificate (DER); nil when it cannot be read.
    package init?(der: [UInt8]) {
        guard let certificate = try? Certificate(derEncoded: der) else { return nil }
        self.init(certificate)
    }

    /// The first certificate of a PEM text.
    package init(pem: [UInt8]) throws(CertificateFailure) {
        do {
            self.init(try Certificate(pemEncoded: String(decoding: pem, as: UTF8.self)))
        } catch {
            throw CertificateFailure("this is no certificate in PEM: \(error)")
        }
    }

    private init(_ certificate: Certificate) {
        publicKeyHash = PeerCertificate.hash(of: certificate.publicKey)
        validity = PeerCertificate.validity(of: certificate)
        let names = (try? certificate.extensions.subjectAlternativeNames) ?? SubjectAlternativeNames()
        for case .uniformResourceIdentifier(let text) in names where text.hasPrefix(PeerCertificate.agentPrefix) {
            agent = String(text.dropFirst(PeerCertificate.agentPrefix.count))
        }
    }

    /// The SHA-256 of a key's SubjectPublicKeyInfo (DER), as a key says it of itself.
    private static func hash(of key: Certificate.PublicKey) -> String {
        var serializer = DER.Serializer()
        // A key that was read is written as it was: there is nothing in it to fail.
        try? serializer.serialize(key)
        return Hexadecimal.text(SHA256.hash(data: serializer.serializedBytes))
    }

    static func validity(of certificate: Certificate) -> CertificateValidity {
        CertificateValidity(
            startNanoseconds: Int64(certificate.notValidBefore.timeIntervalSince1970) * 1_000_000_000,
            endNanoseconds: Int64(certificate.notValidAfter.timeIntervalSince1970) * 1_000_000_000)
    }
}

/// The authorities that somebody is to believe, as one PEM text.
package enum TrustBundle {
    /// The SHA-256 over the certificates (DER) in their order: what a join token pins, whatever stands between them in
    /// the text.
    package static func fingerprint(pem: [UInt8]) throws(CertificateFailure) -> [UInt8] {
        let documents: [PEMDocument]
        do {
            documents = try PEMDocument.parseMultiple(pemString: String(decoding: pem, as: UTF8.self))
        } catch {
            throw CertificateFailure("these are no certificates in PEM: \(error)")
        }
        var hash = SHA256()
        let certificates = documents.filter { $0.discriminator == "CERTIFICATE" }
        guard !certificates.isEmpty else { throw CertificateFailure("there is no certificate in PEM in it") }
        for document in certificates { hash.update(data: document.derBytes) }
        return Array(hash.finalize())
    }
}
