internal import Disk
internal import Server
internal import Transport
internal import Wire

/// Certificates and keys from the files that the configuration names.
enum TLSFiles {
    /// The bytes of the file that the configuration names under `key`.
    static func read(_ path: String, _ key: String) throws -> [UInt8] {
        do {
            if let bytes = try AtomicFile.read(path, in: SystemStorage(), maximumBytes: 1 << 20) { return bytes }
        } catch {
            throw CommandFailure("\(key) cannot be read: \(error)")
        }
        throw CommandFailure("\(key): there is no file \(path)")
    }
}

/// How the agent of the same process reaches the listener.
struct OwnEndpoint {
    /// The name of the TLS profile that trusts the listener's own certificate.
    private static let profile = "own"

    let endpoint: HTTPEndpoint
    let fields: [HTTPField]
    let tlsProfile: String?
    let tlsProfiles: [String: TLSProfile]

    init(listen: ListenAddress, port: Int, security: ListenerSecurity, settings: Settings) throws {
        let host = listen.localHost
        if let tls = security.tls {
            guard tls.clientAuthorities == nil else {
                throw CommandFailure(
                    "with client_ca_file the agent of the same process cannot connect; "
                        + "run `vedette server` and `vedette agent` apart")
            }
            endpoint = HTTPEndpoint(.tls(host: host, port: port))
            tlsProfile = OwnEndpoint.profile
            // The certificate names the host as others see it, not as loopback; the chain is checked all the same.
            tlsProfiles = [
                OwnEndpoint.profile: TLSProfile(
                    authorities: security.ownTrust ?? tls.certificateChain, verification: .chainOnly)
            ]
        } else {
            endpoint = HTTPEndpoint(.tcp(host: host, port: port))
            tlsProfile = nil
            tlsProfiles = [:]
        }
        let secret = String(decoding: settings.ownToken.secret, as: UTF8.self)
        fields = settings.tokens.isEmpty ? [] : [HTTPField("Authorization", "Bearer \(secret)")]
    }
}
