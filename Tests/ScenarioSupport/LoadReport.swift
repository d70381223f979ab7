/// What `vedette-loader` printed: the batches it was acknowledged, and what it found stored of the run before.
package struct LoadReport: Sendable {
    /// What the loader sends.
    package enum Signal: String, Sendable, CaseIterable {
        case samples
        case lines
    }

    /// The last acknowledged batch of each signal.
    package private(set) var acknowledged: [Signal: Int] = [:]
    /// What is stored of the run before: the last batch, and how many there are; a count of -1 says that some are
    /// there twice.
    package private(set) var stored: [Signal: (last: Int, count: Int)] = [:]

    /// Reads lines "ack SIGNAL N" and "stored SIGNAL LAST COUNT"; a line that was cut short counts for nothing.
    package init(_ output: String) {
        // A guest's console ends lines with CR LF, which is one character to Swift.
        for line in output.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline).dropLast() {
            let words = line.split(whereSeparator: { $0 == " " || $0 == "\r" }).map(String.init)
            guard words.count >= 3, let signal = Signal(rawValue: words[1]), let number = Int(words[2]) else {
                continue
            }
            if words.count == 3, words[0] == "ack" {
                acknowledged[signal] = max(acknowledged[signal] ?? 0, number)
            }
            if words.count == 4, words[0] == "stored", let count = Int(words[3]) { stored[signal] = (number, count) }
        }
    }

    /// What is wrong with what this run found stored, given what the run before had acknowledged; empty when all is
    /// well: everything acknowledged is there, once.
    package func complaints(after acknowledged: [Signal: Int]) -> [String] {
        acknowledged.sorted { $0.key.rawValue < $1.key.rawValue }.compactMap { signal, last in
            guard let found = stored[signal] else { return "\(signal): nothing was reported" }
            if found.last < last { return "\(signal): \(last) was acknowledged, \(found.last) is stored" }
            return found.count == found.last ? nil : "\(signal): 1...\(found.last) once each, found \(found.count)"
        }
    }
}

/// `vedette-loader` as a process beside a server: load as agents make it, every acknowledgement on record.
package enum Loader {
    /// The program, built beside the binary under test.
    package static var path: String {
        let binary = VedetteProcess.binary
        return (binary.lastIndex(of: "/").map { String(binary[...$0]) } ?? "") + "vedette-loader"
    }

    /// Starts run `run` against a server. It first reports what is stored of the run before.
    package static func start(_ run: Int, against vedette: VedetteProcess, logPath: String) throws -> ChildProcess {
        try ChildProcess(path, ["http://127.0.0.1:\(vedette.port)", "\(run)"], logPath: logPath)
    }
}
