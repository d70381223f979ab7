/// What is wrong with a file that a person wrote, and where: "rules.yml:7:5: …". What was read before stays in force.
package struct ConfigurationError: Error, Hashable, Sendable, CustomStringConvertible {
    package var file: String
    /// 1-based; 0 when the whole file is meant.
    package var line: Int
    /// 1-based; 0 when the whole line is meant.
    package var column: Int
    /// What is wrong and what to write instead.
    package var message: String

    /// An error at a place of `file`.
    package init(file: String, line: Int = 0, column: Int = 0, _ message: String) {
        self.file = file
        self.line = line
        self.column = column
        self.message = message
    }

    package var description: String {
        if line == 0 { return "\(file): \(message)" }
        return column == 0 ? "\(file):\(line): \(message)" : "\(file):\(line):\(column): \(message)"
    }
}
