internal import Foundation
internal import Glibc

/// What a long-lived process does about its own memory when it starts.
enum ProcessMemory {
    private typealias SetOption = @convention(c) (CInt, CInt) -> CInt

    /// M_ARENA_MAX of mallopt(3), which the Glibc module does not show.
    private static let arenaMaximum: CInt = -8

    /// Asks the allocator to keep few arenas. It makes eight per core, and what one thread frees in its arena another
    /// does not get: memory that was only passing through is held in each of them.
    static func limitArenas() {
        guard let symbol = dlsym(dlopen(nil, RTLD_NOW), "mallopt") else { return }
        let cores = ProcessInfo.processInfo.activeProcessorCount
        _ = unsafeBitCast(symbol, to: SetOption.self)(arenaMaximum, CInt(max(1, cores / 2)))
    }

    /// Lets go of the pages of the program's code. A start looks into nearly all of them once, as the runtime searches
    /// the binary for conformances; those that are used are mapped again from the page cache.
    static func giveBackCode() {
        guard let maps = try? String(contentsOfFile: "/proc/self/maps", encoding: .utf8),
            let program = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        else { return }
        // Code is never written to; data next to it is, and must stay.
        for line in maps.split(separator: "\n") where line.contains(" r-xp ") && line.hasSuffix(program) {
            let bounds = line.prefix { $0 != " " }.split(separator: "-").compactMap { UInt($0, radix: 16) }
            guard bounds.count == 2, let start = UnsafeMutableRawPointer(bitPattern: bounds[0]) else { continue }
            madvise(start, Int(bounds[1] - bounds[0]), MADV_DONTNEED)
        }
    }
}
