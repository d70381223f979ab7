internal import Disk

/// A file that holds an access token: one line, readable by its owner alone.
enum TokenFile {
    /// The token, without its line end.
    static func read(_ path: String) throws -> String {
        let bytes: [UInt8]?
        do {
            bytes = try AtomicFile.read(path, in: SystemStorage(), maximumBytes: 4_096)
        } catch {
            throw CommandFailure("the token file cannot be read: \(error)")
        }
        guard let bytes else { throw CommandFailure("there is no token file \(path)") }
        let text = String(decoding: bytes, as: UTF8.self).split(whereSeparator: \.isWhitespace).first
        guard let text else { throw CommandFailure("the token file \(path) is empty") }
        return String(text)
    }
}
