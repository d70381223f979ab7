internal import NIOSSL

/// How a client proves itself and whom it believes, under a name that calls refer to (`HTTPCall.tlsProfile`).
///
/// Certificates and keys are PEM text that the product has read from files: nothing here touches a disk but the
/// system's own trust store.
package struct TLSProfile: Sendable, Equatable {
    /// How much of the peer's certificate is checked.
    package enum Verification: Sendable {
        /// The chain and the name: what everybody should use.
        case full
        /// The chain alone, for peers reached under another name.
        case chainOnly
        /// Nothing (Prometheus' `insecure_skip_verify`).
        case none
    }

    /// The authorities to believe, PEM; nil for the system's.
    package var authorities: [UInt8]?
    /// The client's own certificate and the chain above it, PEM; nil for none.
    package var certificateChain: [UInt8]?
    /// The key of that certificate, PEM.
    package var privateKey: [UInt8]?
    package var verification: Verification
    /// The name to ask for and to check instead of the endpoint's host.
    package var serverName: String?

    /// A profile; the defaults are the system's trust and no client certificate.
    package init(
        authorities: [UInt8]? = nil, certificateChain: [UInt8]? = nil, privateKey: [UInt8]? = nil,
        verification: Verification = .full, serverName: String? = nil
    ) {
        self.authorities = authorities
        self.certificateChain = certificateChain
        self.privateKey = privateKey
        self.verification = verification
        self.serverName = serverName
    }

    /// Builds what the TLS library needs; blocks for the system's trust store, so not to be called on an event loop.
    func makeContext() throws -> NIOSSLContext {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.minimumTLSVersion = .tlsv12
        configuration.applicationProtocols = ["http/1.1"]
        if let authorities {
            configuration.trustRoots = .certificates(try NIOSSLCertificate.fromPEMBytes(authorities))
        }
        if let certificateChain, let privateKey {
            configuration.certificateChain = try NIOSSLCertificate.fromPEMBytes(certificateChain).map {
                .certificate($0)
            }
            configuration.privateKey = .privateKey(try NIOSSLPrivateKey(bytes: privateKey, format: .pem))
        }
        configuration.certificateVerification =
            switch verification {
            case .full: .fullVerification
            case .chainOnly: .noHostnameVerification
            case .none: .none
            }
        return try NIOSSLContext(configuration: configuration)
    }
}

/// What a listener shows to its clients, and whether it asks them for a certificate.
package struct TLSServerIdentity: Sendable {
    /// The server's certificate and the chain above it, PEM.
    package var certificateChain: [UInt8]
    /// The key of that certificate, PEM.
    package var privateKey: [UInt8]
    /// When set (PEM), clients must show a certificate signed by one of these.
    package var clientAuthorities: [UInt8]?
    /// When set (PEM), clients may show a certificate signed by one of these; requests carry it as `peer`. A
    /// certificate of anybody else ends the handshake.
    package var agentAuthorities: [UInt8]?

    /// An identity.
    package init(
        certificateChain: [UInt8], privateKey: [UInt8], clientAuthorities: [UInt8]? = nil,
        agentAuthorities: [UInt8]? = nil
    ) {
        self.certificateChain = certificateChain
        self.privateKey = privateKey
        self.clientAuthorities = clientAuthorities
        self.agentAuthorities = agentAuthorities
    }

    func makeContext() throws -> NIOSSLContext {
        var configuration = TLSConfiguration.makeServerConfiguration(
            certificateChain: try NIOSSLCertificate.fromPEMBytes(certificateChain).map { .certificate($0) },
            privateKey: .privateKey(try NIOSSLPrivateKey(bytes: privateKey, format: .pem)))
        configuration.minimumTLSVersion = .tlsv12
        configuration.applicationProtocols = ["http/1.1"]
        if let clientAuthorities {
            configuration.trustRoots = .certificates(try NIOSSLCertificate.fromPEMBytes(clientAuthorities))
            configuration.certificateVerification = .noHostnameVerification
        } else if let agentAuthorities {
            configuration.trustRoots = .certificates(try NIOSSLCertificate.fromPEMBytes(agentAuthorities))
            configuration.certificateVerification = .optionalVerification
        }
        return try NIOSSLContext(configuration: configuration)
    }
}
