/// Checks an audit log offline: every byte, every link of the chain, and that nothing was cut off.
package enum AuditVerifier {
    /// What a check found.
    package struct Verdict: Sendable, Equatable {
        /// The records that hold, from the first on.
        package var records: UInt64
        /// The head behind them.
        package var head: AuditHead
        /// What is wrong and where, nil when the whole log holds.
        package var damage: String?
    }

    /// Checks the bytes of a log. `anchor` is a head that was kept elsewhere: the log must reach it.
    package static func verify(_ bytes: [UInt8], anchor: AuditHead? = nil) -> Verdict {
        var head = AuditHead.empty
        var rest = bytes[...]
        var number = 0
        var isAnchorMet = anchor == nil || anchor == .empty
        while !rest.isEmpty {
            number += 1
            guard let end = rest.firstIndex(of: UInt8(ascii: "\n")) else {
                return broken(head, "line \(number): the end of the log was cut off within this record")
            }
            do {
                let record = try AuditRecord(parsing: rest[..<end])
                guard record.sequence == head.sequence + 1 else {
                    return broken(head, "line \(number): record \(record.sequence) follows \(head.sequence)")
                }
                guard record.previous == head.hash else {
                    return broken(head, "line \(number): it does not follow the line before: one of them was changed")
                }
                head = AuditHead(sequence: record.sequence, hash: record.hash)
            } catch {
                return broken(head, "line \(number): \(error.reason)")
            }
            if head == anchor { isAnchorMet = true }
            rest = rest[(end + 1)...]
        }
        guard isAnchorMet else {
            return broken(head, missing(anchor ?? .empty, behind: head))
        }
        return Verdict(records: head.sequence, head: head, damage: nil)
    }

    /// Why a log whose every record holds is not the one that reached `anchor`. Each record is one line.
    private static func missing(_ anchor: AuditHead, behind head: AuditHead) -> String {
        guard head.sequence < anchor.sequence else {
            return
                "line \(anchor.sequence): record \(anchor.sequence) is not the one that was written: the log was "
                + "replaced by another one"
        }
        let next = head.sequence + 1
        let lost = anchor.sequence == next ? "record \(next)" : "records \(next) to \(anchor.sequence)"
        return "line \(next): the end of the log was cut off: \(lost) had been written and would stand here"
    }

    private static func broken(_ head: AuditHead, _ damage: String) -> Verdict {
        Verdict(records: head.sequence, head: head, damage: damage)
    }
}
