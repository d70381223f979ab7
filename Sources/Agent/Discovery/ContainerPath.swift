/// What a cgroup's path tells about the container in it; the same for v1 and v2 (the patterns of research on runtimes).
struct ContainerPath: Equatable, Sendable {
    /// Who made the group.
    enum Runtime: String, Sendable {
        case docker
        case containerd
        case crio = "cri-o"
        case podman
    }

    var runtime: Runtime
    /// 64 hexadecimal digits.
    var id: String
    /// The pod's uid with dashes; nil outside of Kubernetes.
    var pod: String?

    /// Reads a group's path; nil when no container's processes are in that group itself.
    init?(_ group: String) {
        let parts = group.split(separator: "/")
        // crun puts the processes of CRI-O and Podman into a child group named "container".
        guard let last = parts.last == "container" ? parts.dropLast().last : parts.last else { return nil }
        guard let id = Self.identifier(in: last) else { return nil }
        let name = last.hasSuffix(".scope") ? last.dropLast(".scope".count) : last
        let prefix = name.dropLast(id.count)
        self.id = id
        pod = parts.lazy.compactMap(Self.podUID).last
        switch prefix {
        case "docker-": runtime = .docker
        case "cri-containerd-": runtime = .containerd
        case "crio-": runtime = .crio
        case "libpod-": runtime = .podman
        case "":
            if pod != nil {
                runtime = .containerd
            } else if parts.count >= 2, parts[parts.count - 2] == "libpod_parent" {
                runtime = .podman
            } else {
                // Docker names the group after the container below whatever parent it was given.
                runtime = .docker
            }
        default:
            // "kubepods-…:cri-containerd:<id>" comes from a runtime with the wrong cgroup driver; conmon's own groups
            // ("crio-conmon-", "libpod-conmon-") hold no container.
            guard prefix.hasSuffix(":cri-containerd:") else { return nil }
            runtime = .containerd
        }
    }

    /// The 64 hexadecimal digits at the end of `text` (a group's name, with or without ".scope"); nil without them.
    static func identifier(in text: some StringProtocol) -> String? {
        let name = text.hasSuffix(".scope") ? String(text.dropLast(".scope".count)) : String(text)
        let digits = name.utf8.suffix(64)
        guard digits.count == 64, digits.allSatisfy(isDigit) else { return nil }
        let before = name.utf8.dropLast(64).last
        if let before, isDigit(before) { return nil }
        return String(decoding: digits, as: UTF8.self)
    }

    private static func isDigit(_ byte: UInt8) -> Bool {
        (0x30...0x39).contains(byte) || (0x61...0x66).contains(byte)
    }

    /// `pod<uid>` and `kubepods-burstable-pod<uid>.slice`; systemd's names have underscores for dashes, and the uids of
    /// static pods have neither.
    private static func podUID(_ part: Substring) -> String? {
        var name = part.prefix { $0 != ":" }
        if name.hasSuffix(".slice") { name = name.dropLast(".slice".count) }
        let start: Substring.Index
        if name.hasPrefix("pod") {
            start = name.startIndex
        } else if name.hasPrefix("kubepods"), let dash = name.firstRange(ofText: "-pod") {
            start = name.index(after: dash)
        } else {
            return nil
        }
        let uid = name[start...].dropFirst(3)
        guard (32...36).contains(uid.utf8.count),
            uid.utf8.allSatisfy({ isDigit($0) || $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: "_") })
        else { return nil }
        return String(uid.map { $0 == "_" ? "-" : $0 })
    }
}

extension Substring {
    /// The index at which `text` begins for the first time; nil when it is not there.
    fileprivate func firstRange(ofText text: String) -> Index? {
        indices.first { self[$0...].hasPrefix(text) }
    }
}
