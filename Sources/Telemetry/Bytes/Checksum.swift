internal import CKernels

/// Checksums that formats of others ask for.
package enum Checksum {
    /// CRC-32C (Castagnoli, RFC 3720 appendix B.4) of `bytes`.
    package static func crc32c(_ bytes: [UInt8]) -> UInt32 {
        bytes.withUnsafeBytes { vedette_crc32c(0, $0.baseAddress, $0.count) }
    }
}
