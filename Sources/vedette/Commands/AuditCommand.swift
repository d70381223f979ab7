internal import Alerting
internal import ArgumentParser
internal import Disk

/// `vedette audit`: what was decided and done, and whether the record of it still holds.
struct AuditCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "audit",
        abstract: "The hash-chained record of every decision and action.",
        subcommands: [AuditVerifyCommand.self])
}

/// `vedette audit verify`: offline, byte by byte.
struct AuditVerifyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract: "Check the audit log of a data folder, offline.",
        discussion: """
            Prints the number of records and the hash of the last one. Keep that hash elsewhere and give it with \
            --head next time: a log that was rewritten as a whole will not reach it.
            """)

    /// The largest log that is read at once.
    private static let bytesMaximum = 1 << 30

    @Option(name: .long, help: "The data folder of the server.")
    var data = "./vedette-data"

    @Option(name: .long, help: "SEQUENCE:HASH of an earlier run, which the log must reach.")
    var head: String?

    func run() throws {
        let path = "\(data)/alerting/audit.log"
        let bytes: [UInt8]?
        do {
            bytes = try AtomicFile.read(path, in: SystemStorage(), maximumBytes: AuditVerifyCommand.bytesMaximum)
        } catch {
            throw CommandFailure("the audit log cannot be read: \(error)")
        }
        guard let bytes else { throw CommandFailure("there is no audit log \(path); --data names the data folder") }
        let verdict = try verify(bytes)
        guard let damage = verdict.damage else {
            Terminal.write("\(verdict.records) records hold; head \(verdict.head.sequence):\(verdict.head.hash)\n")
            return
        }
        throw CommandFailure("\(path): \(damage); the first \(verdict.records) records hold")
    }

    /// Against the head that was given, else the one that the alerting journal knows: a cut end is found too.
    private func verify(_ bytes: [UInt8]) throws -> AuditVerifier.Verdict {
        if let anchor = try anchor() { return AuditVerifier.verify(bytes, anchor: anchor) }
        do {
            let (verdict, remark) = try AuditCheck.run(folder: "\(data)/alerting", storage: SystemStorage())
            if let remark { Terminal.note(remark) }
            return verdict
        } catch {
            throw CommandFailure("the audit log cannot be read: \(error)")
        }
    }

    private func anchor() throws -> AuditHead? {
        guard let head else { return nil }
        let parts = head.split(separator: ":")
        guard parts.count == 2, let sequence = UInt64(parts[0]), parts[1].count == 64 else {
            throw CommandFailure.wrongUsage("--head \(head) is not SEQUENCE:HASH as an earlier run printed it")
        }
        return AuditHead(sequence: sequence, hash: String(parts[1]))
    }
}
