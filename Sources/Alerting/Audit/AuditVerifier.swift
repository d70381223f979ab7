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
                return broken(head, "line \(number): cut short; what is before it holds")
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
            let wanted = anchor?.sequence ?? 0
            return broken(head, "line \(number): the log ends or differs before record \(wanted), which was anchored")
        }
        return Verdict(records: head.sequence, head: head, damage: nil)
    }

    private static func broken(_ head: AuditHead, _ damage: String) -> Verdict {
        Verdict(records: head.sequence, head: head, damage: damage)
    }
}
