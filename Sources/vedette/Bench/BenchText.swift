internal import Glibc
internal import Telemetry

/// Figures as text, and what they are made of.
enum BenchText {
    /// Three significant digits with thousands.
    static func rate(_ value: Double) -> String {
        guard value.isFinite, value != 0 else { return "\(value)" }
        if abs(value) >= 1_000 { return FloatText.plain(value.rounded()) }
        return FloatText.plain((value * 1_000).rounded() / 1_000)
    }

    /// CPU time of the whole process.
    static func processNanoseconds() -> Int64 {
        var usage = rusage()
        getrusage(RUSAGE_SELF.rawValue, &usage)
        let parts = [usage.ru_utime, usage.ru_stime]
        return parts.reduce(0) { $0 + Int64($1.tv_sec) * 1_000_000_000 + Int64($1.tv_usec) * 1_000 }
    }
}
