internal import Crypto
internal import FoundationEssentials
internal import Glibc
internal import SwiftASN1
internal import X509

/// A private authority: one key that signs certificates of agents and of the listener, and nothing else (path length
/// 0). Values only; where the key is kept is its owner's business.
package struct CertificateAuthority: Sendable {
    private let key: P256.Signing.PrivateKey
    private let certificate: Certificate

    private init(key: P256.Signing.PrivateKey, certificate: Certificate) {
        self.key = key
        self.certificate = certificate
    }

    /// A new authority.
    package static func make(
        name: String, validity: CertificateValidity
    ) throws(CertificateFailure) -> CertificateAuthority {
        do {
            let key = P256.Signing.PrivateKey()
            let publicKey = Certificate.PublicKey(key.publicKey)
            let subject = try DistinguishedName { CommonName(name) }
            let certificate = try Certificate(
                version: .v3, serialNumber: Certificate.SerialNumber(), publicKey: publicKey,
                notValidBefore: date(validity.startNanoseconds), notValidAfter: date(validity.endNanoseconds),
                issuer: subject, subject: subject, signatureAlgorithm: .ecdsaWithSHA256,
                extensions: try Certificate.Extensions {
                    Critical(BasicConstraints.isCertificateAuthority(maxPathLength: 0))
                    Critical(KeyUsage(keyCertSign: true, cRLSign: true))
                    SubjectKeyIdentifier(hash: publicKey)
                }, issuerPrivateKey: Certificate.PrivateKey(key))
            return CertificateAuthority(key: key, certificate: certificate)
        } catch {
            throw CertificateFailure("the authority's certificate could not be made: \(error)")
        }
    }

    /// The authority of a PEM text that holds its certificate and its key, as `pem` writes it.
    package init(pem: [UInt8]) throws(CertificateFailure) {
        do {
            let documents = try PEMDocument.parseMultiple(pemString: String(decoding: pem, as: UTF8.self))
            guard let certificate = documents.first(where: { $0.discriminator == "CERTIFICATE" }),
                let key = documents.first(where: { $0.discriminator.hasSuffix("PRIVATE KEY") })
            else { throw CertificateFailure("a certificate and a private key are expected") }
            self.certificate = try Certificate(pemDocument: certificate)
            self.key = try P256.Signing.PrivateKey(pemRepresentation: key.pemString)
        } catch {
            throw CertificateFailure("the authority cannot be read: \(error)")
        }
        guard certificate.publicKey == Certificate.PublicKey(key.publicKey) else {
            throw CertificateFailure("the authority's key does not belong to its certificate")
        }
    }

    /// Certificate and key as PEM: a secret.
    package var pem: [UInt8] { certificatePEM + Array("\(key.pemRepresentation)\n".utf8) }

    /// The authority's certificate as PEM, for those who are to believe it.
    package var certificatePEM: [UInt8] { (try? CertificateAuthority.pem(certificate)) ?? [] }

    /// From when until when the authority's own certificate holds.
    package var validity: CertificateValidity { PeerCertificate.validity(of: certificate) }

    /// A certificate for the client side of TLS that says: this is `agent`. PEM.
    package func agentCertificate(
        for request: CertificateRequest, agent: String, validity: CertificateValidity
    ) throws(CertificateFailure) -> [UInt8] {
        try issue(
            to: request.publicKey, name: agent, usage: .clientAuth,
            names: [.uniformResourceIdentifier(PeerCertificate.agentPrefix + agent)], validity)
    }

    /// A new key and a certificate for a listener that is reached under `names` (host names and addresses).
    package func serverIdentity(
        names: [String], validity: CertificateValidity
    ) throws(CertificateFailure) -> TLSServerIdentity {
        let key = CertificateKey()
        let certificate = try issue(
            to: key.key.publicKey, name: "vedette server", usage: .serverAuth,
            names: names.map(CertificateAuthority.generalName), validity)
        return TLSServerIdentity(certificateChain: certificate, privateKey: key.pem)
    }

    private func issue(
        to publicKey: P256.Signing.PublicKey, name: String, usage: ExtendedKeyUsage.Usage, names: [GeneralName],
        _ validity: CertificateValidity
    ) throws(CertificateFailure) -> [UInt8] {
        // Nothing may outlive who vouches for it.
        let own = self.validity
        let start = max(validity.startNanoseconds, own.startNanoseconds)
        let end = min(validity.endNanoseconds, own.endNanoseconds)
        guard start < end else {
            throw CertificateFailure(
                "the authority's own certificate does not cover this time (\(own.refusal(at: start) ?? "it is short"))")
        }
        do {
            let subjectKey = Certificate.PublicKey(publicKey)
            let issued = try Certificate(
                version: .v3, serialNumber: Certificate.SerialNumber(), publicKey: subjectKey,
                notValidBefore: CertificateAuthority.date(start), notValidAfter: CertificateAuthority.date(end),
                issuer: certificate.subject, subject: try DistinguishedName { CommonName(name) },
                signatureAlgorithm: .ecdsaWithSHA256,
                extensions: try Certificate.Extensions {
                    Critical(BasicConstraints.notCertificateAuthority)
                    Critical(KeyUsage(digitalSignature: true))
                    try ExtendedKeyUsage([usage])
                    SubjectAlternativeNames(names)
                    SubjectKeyIdentifier(hash: subjectKey)
                    AuthorityKeyIdentifier(
                        keyIdentifier: SubjectKeyIdentifier(hash: certificate.publicKey).keyIdentifier)
                }, issuerPrivateKey: Certificate.PrivateKey(key))
            return try CertificateAuthority.pem(issued)
        } catch {
            throw CertificateFailure("the certificate for \(name) could not be made: \(error)")
        }
    }

    private static func pem(_ certificate: Certificate) throws -> [UInt8] {
        Array("\(try certificate.serializeAsPEM().pemString)\n".utf8)
    }

    /// Certificates count in whole seconds.
    private static func date(_ nanoseconds: Int64) -> Date {
        Date(timeIntervalSince1970: Double(nanoseconds / 1_000_000_000))
    }

    private static func generalName(_ name: String) -> GeneralName {
        for (family, count) in [(AF_INET, 4), (AF_INET6, 16)] {
            var bytes = [UInt8](repeating: 0, count: count)
            if inet_pton(family, name, &bytes) == 1 { return .ipAddress(ASN1OctetString(contentBytes: bytes[...])) }
        }
        return .dnsName(name)
    }
}
