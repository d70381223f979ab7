internal import Telemetry

/// An OOM kill as the kernel's log tells it. The text comes in several records; each is parsed on its own.
enum KernelRecord: Equatable, Sendable {
    /// `oom-kill:constraint=…,oom_memcg=…,task_memcg=…,task=…,pid=…,uid=…` (Linux 5.0 and later).
    case oomKill(OOMKill)
    /// `… Killed process 123 (name) total-vm:1kB, anon-rss:2kB, …`: how large the victim was.
    case killed(pid: Int32, name: String, anonymousKilobytes: Int64?)
    /// `Task in /docker/x killed as a result of limit of /docker/y` (before 5.0).
    case taskKilled(group: String, limitedBy: String)

    /// What the one-line summary of an OOM kill says.
    struct OOMKill: Equatable, Sendable {
        /// `CONSTRAINT_MEMCG` for a group's limit, `CONSTRAINT_NONE` for the whole host.
        var constraint: String
        /// The group whose limit was hit; nil when it was the host's memory.
        var limitedBy: String?
        /// The victim's group.
        var group: String
        var task: String
        var pid: Int32
    }

    /// Reads one record of /dev/kmsg (`priority,sequence,microseconds,flags;text`); nil when it is of no interest.
    init?(_ record: Substring) {
        guard let semicolon = record.firstIndex(of: ";") else { return nil }
        let text = record[record.index(after: semicolon)...].prefix { $0 != "\n" }
        if text.hasPrefix("oom-kill:") {
            guard let kill = Self.oomKill(text.dropFirst("oom-kill:".count)) else { return nil }
            self = .oomKill(kill)
        } else if let range = text.firstRange(of: "Killed process ") {
            guard let killed = Self.killed(text[range.upperBound...]) else { return nil }
            self = killed
        } else if text.hasPrefix("Task in "), let range = text.firstRange(of: " killed as a result of limit of ") {
            self = .taskKilled(
                group: String(text[..<range.lowerBound].dropFirst("Task in ".count)),
                limitedBy: String(text[range.upperBound...]))
        } else {
            return nil
        }
    }

    private static func oomKill(_ text: Substring) -> OOMKill? {
        var fields: [Substring: Substring] = [:]
        for field in text.split(separator: ",") {
            guard let equals = field.firstIndex(of: "=") else {
                // `global_oom` stands alone; a comma within a value (nodemask=0,2) goes on in the next field.
                if field == "global_oom" { fields["global_oom"] = "" }
                continue
            }
            fields[field[..<equals]] = field[field.index(after: equals)...]
        }
        guard let group = fields["task_memcg"], let pid = fields["pid"].flatMap({ Int32($0) }) else { return nil }
        return OOMKill(
            constraint: String(fields["constraint"] ?? ""), limitedBy: fields["oom_memcg"].map(String.init),
            group: String(group), task: String(fields["task"] ?? ""), pid: pid)
    }

    private static func killed(_ text: Substring) -> KernelRecord? {
        let digits = text.prefix { $0.isNumber }
        guard let pid = Int32(digits) else { return nil }
        let rest = text.dropFirst(digits.count)
        var name = ""
        if let open = rest.firstIndex(of: "("), let close = rest.firstIndex(of: ")"), open < close {
            name = String(rest[rest.index(after: open)..<close])
        }
        var anonymous: Int64?
        if let range = rest.firstRange(of: "anon-rss:") {
            anonymous = Int64(rest[range.upperBound...].prefix { $0.isNumber })
        }
        return .killed(pid: pid, name: name, anonymousKilobytes: anonymous)
    }
}

extension Substring {
    /// Where `text` stands for the first time; nil when it does not.
    fileprivate func firstRange(of text: String) -> Range<Index>? {
        var start = startIndex
        while start < endIndex {
            guard let candidate = self[start...].firstIndex(of: text.first ?? " ") else { return nil }
            let rest = self[candidate...]
            if rest.hasPrefix(text) { return candidate..<index(candidate, offsetBy: text.count) }
            start = index(after: candidate)
        }
        return nil
    }
}

extension KernelRecord.OOMKill {
    /// The event of a kill outside of any container.
    func hostEvent(_ node: String, _ clock: any WallClock) -> HostEvent {
        HostEvent(
            .oomKill, nanoseconds: clock.nowNanoseconds, source: IncidentCorrelator.Source.kernelLog.rawValue,
            subject: Labels(["node": node]),
            details: Labels([
                "victim": task, "pid": String(pid), "constraint": constraint, "task_memcg": group, "sources": "kmsg",
            ]),
            text: "process \(task) (\(pid)) outside of any container was OOM-killed")
    }
}
