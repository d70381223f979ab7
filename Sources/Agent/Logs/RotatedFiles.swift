internal import Glibc
internal import Telemetry

/// What was rotated away from a log: its names, the files at one moment, and the unpacking of compressed ones.
enum RotatedFiles {
    /// A log's file, open as long as this is.
    final class Opened {
        let path: String
        let isCompressed: Bool
        let descriptor: Int32

        fileprivate init?(_ name: Name) {
            (path, isCompressed) = (name.path, name.isCompressed)
            descriptor = Glibc.open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
            guard descriptor >= 0 else { return nil }
        }

        deinit { close(descriptor) }

        /// Another descriptor of the same file, the caller's; -1 when there is none left.
        func duplicate() -> Int32 { fcntl(descriptor, F_DUPFD_CLOEXEC, 0) }

        /// Whether the name still means this file.
        fileprivate var hasItsName: Bool {
            var here = Glibc.stat()
            var there = Glibc.stat()
            return fstat(descriptor, &here) == 0 && stat(path, &there) == 0 && here.st_dev == there.st_dev
                && here.st_ino == there.st_ino
        }
    }

    /// A rotation is over in no time; who rotates all the time is taken as is.
    private static let looksMaximum = 20

    /// The log at `path` and what was rotated away from it, oldest first, as they were at one moment: names move on
    /// while they are listed and opened, and a file would be missed or met twice. What was opened counts when a second
    /// look finds the same files under the same names. Of a file and what it is being compressed to, it is the file.
    static func open(_ path: String) -> [Opened] {
        var looks = 0
        while true {
            looks += 1
            let names = names(of: path)
            let opened = (names + [Name(path: path, isCompressed: false)]).compactMap { Opened($0) }
            let isStill = opened.allSatisfy(\.hasItsName) && self.names(of: path) == names
            guard isStill || looks == looksMaximum else { continue }
            let plain = Set(opened.filter { !$0.isCompressed }.map(\.path))
            return opened.filter { !$0.isCompressed || !plain.contains(String($0.path.dropLast(3))) }
        }
    }

    /// One name in the log's folder.
    struct Name: Equatable {
        var path: String
        var isCompressed: Bool
    }

    /// Names of what was rotated away from `path`, oldest first: `path.3`, `path.20260102-030405`, `path-20260102`,
    /// each also with `.gz`. What is being written (`.tmp`) is left out.
    static func names(of path: String) -> [Name] {
        let folder = path.prefix(upTo: path.lastIndex(of: "/") ?? path.startIndex)
        let base = String(path.dropFirst(folder.count + 1))
        return ordered(HostRoot().names(String(folder)) ?? [], base: base).map {
            Name(path: "\(folder)/\($0.path)", isCompressed: $0.isCompressed)
        }
    }

    /// Those of `names` that were rotated away from `base`, oldest first.
    static func ordered(_ names: [String], base: String) -> [Name] {
        let found = names.compactMap { name -> (age: Age, name: Name)? in
            let isCompressed = name.hasSuffix(".gz")
            guard let age = age(of: isCompressed ? String(name.dropLast(3)) : name, base: base) else { return nil }
            return (age, Name(path: name, isCompressed: isCompressed))
        }
        return found.sorted { $0.age < $1.age }.map(\.name)
    }

    /// Numbers rise with age, dates with time; logs have one or the other.
    private struct Age: Comparable {
        var number: Int
        var date: String

        static func < (left: Age, right: Age) -> Bool {
            left.number == right.number ? left.date < right.date : left.number > right.number
        }
    }

    private static func age(of name: String, base: String) -> Age? {
        guard name.hasPrefix(base), name.utf8.count > base.utf8.count + 1 else { return nil }
        let rest = name.dropFirst(base.count)
        guard rest.first == "." || rest.first == "-" else { return nil }
        let stamp = rest.dropFirst()
        guard stamp.utf8.allSatisfy({ (0x30...0x39).contains($0) || $0 == UInt8(ascii: "-") }) else { return nil }
        if stamp.utf8.count < 6, let number = Int(stamp), number >= 0 { return Age(number: number, date: "") }
        return Age(number: 0, date: String(stamp))
    }

    /// A compressed file's text in a file without a name; -1 when it cannot be unpacked, is damaged, or holds more than
    /// `bytesMaximum`. What was unpacked goes with the descriptor.
    static func unpack(_ archive: Opened, into folder: String, bytesMaximum: Int) -> Int32 {
        guard lseek(archive.descriptor, 0, SEEK_SET) == 0 else { return -1 }
        var template = Array("\(folder)/unpacked-XXXXXX".utf8CString)
        let target = mkstemp(&template)
        guard target >= 0 else { return -1 }
        unlink(template)
        _ = fcntl(target, F_SETFD, FD_CLOEXEC)
        do {
            try GzipStream.decompress(
                bytesMaximum: bytesMaximum,
                read: { Glibc.read(archive.descriptor, $0.baseAddress, $0.count) },
                write: { write(target, $0.baseAddress, $0.count) == $0.count })
            return target
        } catch {
            close(target)
            return -1
        }
    }
}
