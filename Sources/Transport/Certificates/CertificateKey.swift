internal import Crypto
internal import SwiftASN1
internal import Telemetry
internal import X509

/// Why a certificate, a key, a request or a token is of no use.
package struct CertificateFailure: Error, Sendable, CustomStringConvertible {
    /// What is wrong with what.
    package let description: String

    /// A failure in words.
    package init(_ description: String) {
        self.description = description
    }
}

/// From when until when a certificate holds, in nanoseconds since 1970.
package struct CertificateValidity: Sendable, Equatable {
    package var startNanoseconds: Int64
    package var endNanoseconds: Int64

    /// From `startNanoseconds` until `endNanoseconds`.
    package init(startNanoseconds: Int64, endNanoseconds: Int64) {
        self.startNanoseconds = startNanoseconds
        self.endNanoseconds = endNanoseconds
    }

    /// When two thirds of it have passed: time for the next certificate, with a third left for a server that is away.
    package var renewalNanoseconds: Int64 { startNanoseconds + (endNanoseconds - startNanoseconds) / 3 * 2 }

    /// Why a certificate does not hold at `now`, with what to do about it; nil when it does.
    package func refusal(at now: Int64) -> String? {
        if now < startNanoseconds {
            return "the certificate begins at \(Timestamps.rfc3339(nanoseconds: startNanoseconds)), but the clock of "
                + "this host says \(Timestamps.rfc3339(nanoseconds: now)): set the clock"
        }
        if now > endNanoseconds {
            return "the certificate ended at \(Timestamps.rfc3339(nanoseconds: endNanoseconds)) and the clock of this "
                + "host says \(Timestamps.rfc3339(nanoseconds: now)): set the clock if it is wrong, else enroll again "
                + "with a new token"
        }
        return nil
    }
}

/// A private key on the curve P-256, and what it signs for.
package struct CertificateKey: Sendable {
    let key: P256.Signing.PrivateKey

    /// A new key.
    package init() {
        key = P256.Signing.PrivateKey()
    }

    /// The key of a PEM text.
    package init(pem: [UInt8]) throws(CertificateFailure) {
        do {
            key = try P256.Signing.PrivateKey(pemRepresentation: String(decoding: pem, as: UTF8.self))
        } catch {
            throw CertificateFailure("this is no private key on the curve P-256 in PEM: \(error)")
        }
    }

    /// The key as PEM (PKCS #8): a secret.
    package var pem: [UInt8] { Array("\(key.pemRepresentation)\n".utf8) }

    /// The SHA-256 of the public key (SubjectPublicKeyInfo), 64 hexadecimal digits.
    package var publicKeyHash: String {
        Hexadecimal.text(SHA256.hash(data: key.publicKey.derRepresentation))
    }

    /// A request for a certificate under `name`, PEM (PKCS #10).
    package func request(name: String) throws(CertificateFailure) -> [UInt8] {
        do {
            let request = try CertificateSigningRequest(
                version: .v1, subject: try DistinguishedName { CommonName(name) },
                privateKey: Certificate.PrivateKey(key), attributes: CertificateSigningRequest.Attributes(),
                signatureAlgorithm: .ecdsaWithSHA256)
            return Array("\(try request.serializeAsPEM().pemString)\n".utf8)
        } catch {
            throw CertificateFailure("the request for a certificate could not be made: \(error)")
        }
    }
}

/// A request for a certificate that came over the wire, its signature proved: whoever sent it has the key.
package struct CertificateRequest: Sendable {
    let publicKey: P256.Signing.PublicKey

    /// The request of a PEM text (PKCS #10). Throws unless it is signed with its own key, on the curve P-256.
    package init(pem: String) throws(CertificateFailure) {
        let request: CertificateSigningRequest
        do {
            request = try CertificateSigningRequest(pemEncoded: pem)
        } catch {
            throw CertificateFailure("this is no request for a certificate in PEM: \(error)")
        }
        guard let publicKey = P256.Signing.PublicKey(request.publicKey) else {
            throw CertificateFailure("the key of the request is not on the curve P-256, the only one taken here")
        }
        guard request.publicKey.isValidSignature(request.signature, for: request) else {
            throw CertificateFailure("the request is not signed with its own key")
        }
        self.publicKey = publicKey
    }

    /// The SHA-256 of the public key (SubjectPublicKeyInfo), 64 hexadecimal digits.
    package var publicKeyHash: String { Hexadecimal.text(SHA256.hash(data: publicKey.derRepresentation)) }
}
