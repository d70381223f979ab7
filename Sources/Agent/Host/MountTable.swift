/// One line of /proc/self/mountinfo (man 5 proc_pid_mountinfo).
struct Mount: Equatable {
    var deviceNumber: String
    /// The path within the file system that is mounted.
    var root: String
    var point: String
    var fileSystem: String
    var source: String
    /// Options of the mount and of the file system, as in the two columns.
    var options: [String]
    var superOptions: [String]
}

/// Reads mountinfo text.
enum MountTable {
    /// The mounts in the order of the kernel; lines that are not complete are left out.
    static func parse(_ text: String) -> [Mount] {
        text.split(separator: "\n").compactMap { line in
            let fields = line.split(separator: " ", omittingEmptySubsequences: true).map(String.init)
            guard let dash = fields.firstIndex(of: "-"), dash >= 6, fields.count >= dash + 4 else { return nil }
            return Mount(
                deviceNumber: fields[2], root: unescaped(fields[3]), point: unescaped(fields[4]),
                fileSystem: fields[dash + 1], source: unescaped(fields[dash + 2]),
                options: fields[5].split(separator: ",").map(String.init),
                superOptions: fields[dash + 3].split(separator: ",").map(String.init))
        }
    }

    /// Space, tab, newline and backslash are printed as a backslash and three octal digits.
    static func unescaped(_ text: String) -> String {
        EscapedText.unescaped(text, prefix: "\\", digits: 3, radix: 8)
    }
}
