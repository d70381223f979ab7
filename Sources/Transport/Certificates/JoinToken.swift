internal import Telemetry

/// What an operator carries from the server to a node: whom to believe, and a secret that is good once.
///
/// Text: `vedette1_`, 64 hexadecimal digits of the trust bundle's fingerprint, `_`, 40 digits of the secret.
package struct JoinToken: Sendable, Equatable {
    /// The SHA-256 of the authorities to believe (`TrustBundle.fingerprint`).
    package var fingerprint: [UInt8]
    /// 20 random bytes.
    package var secret: [UInt8]

    private static let prefix = "vedette1"
    /// How many bytes of chance a secret has.
    package static let secretBytes = 20

    /// A token.
    package init(fingerprint: [UInt8], secret: [UInt8]) {
        self.fingerprint = fingerprint
        self.secret = secret
    }

    /// The token of a text, white space around it aside.
    package init(parsing text: String) throws(CertificateFailure) {
        let words = text.split(whereSeparator: \.isWhitespace)
        let parts = (words.first ?? "").split(separator: "_", omittingEmptySubsequences: false)
        guard words.count == 1, parts.count == 3, parts[0] == JoinToken.prefix,
            let fingerprint = Hexadecimal.bytes(String(parts[1])), fingerprint.count == 32,
            let secret = Hexadecimal.bytes(String(parts[2])), secret.count == JoinToken.secretBytes
        else {
            throw CertificateFailure(
                "this is no join token: one is \"vedette1_\", 64 digits, \"_\" and 40 digits; "
                    + "`vedette enroll token` on the server makes one")
        }
        self.init(fingerprint: fingerprint, secret: secret)
    }

    /// The token as it is carried.
    package var text: String {
        "\(JoinToken.prefix)_\(Hexadecimal.text(fingerprint))_\(Hexadecimal.text(secret))"
    }
}
