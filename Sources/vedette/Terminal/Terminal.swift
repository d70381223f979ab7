internal import Glibc

/// Standard output and standard error, written whole and in order.
enum Terminal {
    /// Whether standard output is a terminal, so that colour and alignment help rather than hinder.
    static let isInteractive = isatty(STDOUT_FILENO) == 1

    /// The terminal's width in columns; 120 when it is none.
    static var columns: Int {
        var size = winsize()
        guard ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return 120 }
        return Int(size.ws_col)
    }

    /// The terminal's height in lines; 24 when it is none.
    static var rows: Int {
        var size = winsize()
        guard ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_row > 0 else { return 24 }
        return Int(size.ws_row)
    }

    /// Whether to colour: on a terminal that can, unless NO_COLOR says otherwise (no-color.org).
    static let usesColour = isInteractive && !isSet("NO_COLOR") && !isDumb

    private static func isSet(_ name: String) -> Bool { getenv(name).map { $0.pointee != 0 } ?? false }

    private static var isDumb: Bool { getenv("TERM").map { String(cString: $0) == "dumb" } ?? true }

    /// Writes text to standard output. A reader that went away (`| head`) ends the program quietly.
    static func write(_ text: String) { write(Array(text.utf8)) }

    /// Writes bytes to standard output.
    static func write(_ bytes: [UInt8]) { writeAll(bytes, to: STDOUT_FILENO) }

    /// Writes one message to standard error.
    static func error(_ text: String, prefix: String = "error: ") {
        writeAll(Array("\(prefix)\(text)\n".utf8), to: STDERR_FILENO)
    }

    /// Writes one remark to standard error, where it does not disturb a pipe.
    static func note(_ text: String) { error(text, prefix: "") }

    private static func writeAll(_ bytes: [UInt8], to descriptor: Int32) {
        bytes.withUnsafeBytes { raw in
            var offset = 0
            while offset < raw.count {
                let written = Glibc.write(descriptor, raw.baseAddress?.advanced(by: offset), raw.count - offset)
                if written < 0 && errno == EINTR { continue }
                if written <= 0 { exit(0) }
                offset += written
            }
        }
    }
}
