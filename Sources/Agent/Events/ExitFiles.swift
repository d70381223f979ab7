internal import Glibc

/// The exit codes that conmon, which starts the containers of Podman and CRI-O, writes down when one ends: a file named
/// after the container in a folder that its command line names. Podman removes it a moment later, so the kernel's
/// notice is needed. Belongs to the collection thread.
///
/// It also tells of lives that were over before anybody saw their cgroup.
final class ExitFiles {
    private let host: HostRoot
    private let hub: EventHub
    private let inotify: Inotify?
    private var watched: [Int32: String] = [:]
    private var folders: Set<String> = []
    /// What was told already: a file is written once in a life, and may be noticed more than once.
    private var told: [String: Int] = [:]

    private static let usual = ["/run/libpod/exits", "/run/crio/exits"]
    private static let foldersMaximum = 64
    private static let toldMaximum = 4_096

    /// Exit files of `host`, told to `hub`.
    init(host: HostRoot, hub: EventHub) {
        self.host = host
        self.hub = hub
        inotify = host.isMachine ? Inotify() : nil
        watchUsual()
    }

    /// Becomes readable when a file was written; -1 where there are no notices.
    var descriptor: Int32 { inotify?.descriptor ?? -1 }

    /// Looks for folders that were not there before: those of everybody, of users, and of the monitor of `container`.
    func follow(_ container: Container) {
        guard container.runtime == .podman || container.runtime == .crio else { return }
        watchUsual()
        guard let monitor = Conmon(of: container.processIdentifier, on: host), let folder = monitor.exitFolder else {
            return
        }
        watch(folder)
    }

    private func watchUsual() {
        for folder in Self.usual where !folders.contains(folder) { watch(folder) }
        for user in host.folderNames("/run/user") ?? [] { watch("/run/user/\(user)/libpod/tmp/exits") }
    }

    private func watch(_ folder: String) {
        guard let inotify, !folders.contains(folder), folders.count < Self.foldersMaximum else { return }
        guard let watch = inotify.watch(host.path(folder), [.created, .movedTo]) else { return }
        folders.insert(folder)
        watched[watch] = folder
    }

    /// Reads what was written.
    func drain() {
        var changed: Set<String> = []
        inotify?.drain { watch, events in
            if events.contains(.overflow) { changed = folders }
            guard let folder = watched[watch] else { return }
            if events.contains(.gone) {
                watched[watch] = nil
                folders.remove(folder)
            } else {
                changed.insert(folder)
            }
        }
        for folder in changed { read(folder) }
    }

    /// Tells of all files of a folder that were not told yet.
    func read(_ folder: String) {
        for name in host.names(folder) ?? [] where ContainerPath.identifier(in: name) == name {
            guard let status = FileTime.modifiedNanoseconds(host.path("\(folder)/\(name)")), told[name] != status,
                let text = host.text("\(folder)/\(name)", limit: 64),
                let code = Int(text.filter { !$0.isWhitespace })
            else { continue }
            if told.count >= Self.toldMaximum { told.removeAll() }
            told[name] = status
            hub.saw(.exit(code: code), of: name, by: .conmon)
        }
    }
}

/// What the command line of a container's monitor says. The monitor is the parent of the container's first process.
struct Conmon: Equatable {
    /// The container's name; nil where it has none.
    var name: String?
    /// Where the container's bundle is.
    var bundle: String?
    /// Where exit codes are written.
    var exitFolder: String?

    /// The monitor of `process`; nil where its parent is none.
    init?(of process: Int32, on host: HostRoot) {
        guard process > 0, let status = host.text("/proc/\(process)/stat"),
            // The name in front may hold anything, even a closing parenthesis.
            let end = status.lastIndex(of: ")"),
            let parent = status[end...].split(separator: " ").dropFirst(2).first.flatMap({ Int32($0) }), parent > 1,
            let line = host.bytes("/proc/\(parent)/cmdline", limit: 64 << 10)
        else { return nil }
        self.init(commandLine: line.split(separator: 0).map { String(decoding: $0, as: UTF8.self) })
    }

    /// Reads the words of a command line; nil where it is not conmon's.
    init?(commandLine words: [String]) {
        guard let program = words.first?.split(separator: "/").last, program == "conmon" else { return nil }
        for (word, next) in zip(words, words.dropFirst()) {
            switch word {
            case "-n", "--name": name = next
            case "-b", "--bundle": bundle = next
            case "--exit-dir": exitFolder = next
            // What comes behind is of the command that is run at the end.
            case "--exit-command": return
            default: continue
            }
        }
    }
}
