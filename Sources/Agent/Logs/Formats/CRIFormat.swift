internal import Telemetry

/// What containerd, CRI-O and conmon (Podman's k8s-file) write: `2026-01-02T03:04:05.6Z stdout F text`. `P` marks a
/// piece whose rest follows, `F` a whole line or its last piece; further tags may stand behind a colon.
///
/// A runtime that sees the end of the stream in the middle of a line writes `P` and no `F` ever follows (containerd,
/// internal/cri/io/logger.go), so a piece is also given out when its container ended or nothing more came for long.
struct CRIFormat: LogFormat {
    static let name = "cri"

    func parse(_ line: UnsafeRawBufferPointer, into text: inout [UInt8]) -> LogRecord? {
        guard let timeEnd = line.offset(of: UInt8(ascii: " ")),
            let nanoseconds = Timestamps.nanoseconds(rfc3339: UnsafeRawBufferPointer(rebasing: line[..<timeEnd])),
            let streamEnd = line.offset(of: UInt8(ascii: " "), from: timeEnd + 1)
        else { return nil }
        let stream = UnsafeRawBufferPointer(rebasing: line[(timeEnd + 1)..<streamEnd])
        let isError = stream.isSame(as: "stderr")
        guard isError || stream.isSame(as: "stdout") else { return nil }
        // A tag without any text behind it may lack the blank.
        let tagEnd = line.offset(of: UInt8(ascii: " "), from: streamEnd + 1) ?? line.count
        guard tagEnd > streamEnd + 1 else { return nil }
        let tag = line[streamEnd + 1]
        guard tag == UInt8(ascii: "F") || tag == UInt8(ascii: "P"),
            tagEnd == streamEnd + 2 || line[streamEnd + 2] == UInt8(ascii: ":")
        else { return nil }
        if tagEnd < line.count { text.append(contentsOf: UnsafeRawBufferPointer(rebasing: line[(tagEnd + 1)...])) }
        return LogRecord(
            stream: isError ? .standardError : .standardOutput, nanoseconds: nanoseconds,
            ending: tag == UInt8(ascii: "F") ? .complete : .partial)
    }
}
