internal import CKernels

/// CRC-32C (Castagnoli, RFC 3720 appendix B.4) of `bytes`, continuing from the checksum of the bytes before them.
public func crc32c(_ bytes: UnsafeRawBufferPointer, continuing checksum: UInt32 = 0) -> UInt32 {
    vedette_crc32c(checksum, bytes.baseAddress, bytes.count)
}
