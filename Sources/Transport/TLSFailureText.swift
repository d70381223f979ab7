internal import NIOSSL

/// A TLS failure in words for people: what the library says, without its places in source files, and what it means.
enum TLSFailureText {
    /// The words for an error of the TLS library; nil for any other error.
    static func words(_ error: any Error) -> String? {
        switch error {
        case NIOSSLError.handshakeFailed(let cause): return words(of: cause)
        case NIOSSLError.uncleanShutdown: return "the peer closed the connection without saying so"
        case let error as BoringSSLError: return words(of: error)
        case let error as NIOSSLExtraError where error == .failedToValidateHostname:
            return "the peer's certificate is for other names"
        default: return nil
        }
    }

    private static func words(of error: BoringSSLError) -> String {
        switch error {
        case .sslError(let stack), .unknownError(let stack): words(of: stack.map { "\($0)" })
        default: "\(error)"
        }
    }

    /// Each entry is `Error: NUMBER error:NUMBER:LIBRARY:FUNCTION:REASON at FILE:LINE`, or words.
    private static func words(of stack: [String]) -> String {
        let reasons = stack.map { entry -> String in
            let text = entry[..<(entry.firstRange(of: " at /")?.lowerBound ?? entry.endIndex)]
            if text.contains(" error:"), let reason = text.split(separator: ":").last { return String(reason) }
            return String(text.dropFirst(entry.hasPrefix("Error:") ? "Error:".count : 0).drop { $0 == " " })
        }
        let text = reasons.joined(separator: ", ")
        guard let meaning = meanings.first(where: { text.contains($0.reason) })?.meaning else {
            return text.isEmpty ? "no reason given" : text
        }
        return "\(meaning) (\(text))"
    }

    private static let meanings: [(reason: String, meaning: String)] = [
        (
            "CERTIFICATE_VERIFY_FAILED",
            "no authority that is believed here vouches for the peer's certificate, or it has ended"
        ),
        ("WRONG_VERSION_NUMBER", "the peer does not speak TLS"),
        ("HTTP_REQUEST", "the peer speaks HTTP without TLS"),
        ("ALERT_UNKNOWN_CA", "the peer does not believe the authority of this side's certificate"),
        ("ALERT_BAD_CERTIFICATE", "the peer refuses this side's certificate"),
        ("ALERT_CERTIFICATE_EXPIRED", "this side's certificate has ended by the peer's clock"),
        ("ALERT_CERTIFICATE_REQUIRED", "the peer wants a certificate"),
        ("PEER_DID_NOT_RETURN_A_CERTIFICATE", "the peer showed no certificate"),
        ("EOF during handshake", "the peer closed the connection"),
    ]
}
