/// What a cgroup's path tells about whatever lives in it; the same for v1 and v2.
struct ContainerPath: Equatable, Sendable {
    /// Who made the group.
    enum Runtime: String, Sendable, CaseIterable {
        case docker
        case containerd
        case crio = "cri-o"
        case podman
        case nerdctl
        case mesos
        case lxc
        /// systemd-nspawn, libvirt and others that register machines.
        case machine
        case rkt
        /// A service of systemd: no container, but something that runs.
        case systemd
    }

    var runtime: Runtime
    /// What it is known by: 64 hexadecimal digits of a container; of others their kind and name, such as
    /// `unit:ssh.service`, which are unique on a host.
    var id: String
    /// Its name, where the path has one.
    var name: String?
    /// The pod's uid with dashes; nil outside of Kubernetes.
    var pod: String?

    /// Reads a group's path; nil when no container's processes are in that group itself.
    init?(_ group: String) {
        let parts = group.split(separator: "/").map(String.init)
        // crun puts the processes of CRI-O and Podman into a child group named "container".
        guard let last = parts.last == "container" ? parts.dropLast().last : parts.last else { return nil }
        pod = parts.lazy.compactMap(Self.podUID).last
        if let id = Self.identifier(in: last) {
            guard let runtime = Self.runtime(of: last, id, parts, isInPod: pod != nil) else { return nil }
            (self.runtime, self.id) = (runtime, id)
            return
        }
        guard pod == nil,
            let other = Self.mesos(parts) ?? Self.linuxContainer(parts) ?? Self.machine(parts)
                ?? Self.unit(parts)
        else { return nil }
        (runtime, id, name) = (other.runtime, other.id, other.name)
    }

    /// The uid of the pod whose own group `path` is, with dashes; nil for any other group.
    static func pod(ofGroup path: String) -> String? { path.split(separator: "/").last.flatMap { podUID(String($0)) } }

    /// Whether it is a container, rather than a service or a machine of the host.
    var isContainer: Bool { runtime != .systemd && runtime != .machine }

    /// The 64 hexadecimal digits at the end of `text` (a group's name, with or without ".scope"); nil without them.
    static func identifier(in text: some StringProtocol) -> String? {
        let name = text.hasSuffix(".scope") ? String(text.dropLast(".scope".count)) : String(text)
        let digits = name.utf8.suffix(64)
        guard digits.count == 64, digits.allSatisfy(isDigit) else { return nil }
        let before = name.utf8.dropLast(64).last
        if let before, isDigit(before) { return nil }
        return String(decoding: digits, as: UTF8.self)
    }

    /// Who made the group `last` that ends with 64 digits; nil for groups of a container's monitor.
    private static func runtime(of last: String, _ id: String, _ parts: [String], isInPod: Bool) -> Runtime? {
        let name = last.hasSuffix(".scope") ? last.dropLast(".scope".count) : last[...]
        switch name.dropLast(id.count) {
        case "docker-": return .docker
        case "cri-containerd-": return .containerd
        case "crio-": return .crio
        case "libpod-": return .podman
        case "nerdctl-": return .nerdctl
        case "":
            if isInPod { return .containerd }
            // "libpod_parent" is Podman's; containerd's clients without systemd use the name of their namespace.
            switch parts.count >= 2 ? parts[parts.count - 2] : "" {
            case "libpod_parent": return .podman
            case "default", "k8s.io": return .nerdctl
            // Docker names the group after the container below whatever parent it was given (also ECS's).
            default: return .docker
            }
        default:
            // "kubepods-…:cri-containerd:<id>" comes from a runtime with the wrong cgroup driver; conmon's own groups
            // ("crio-conmon-", "libpod-conmon-") hold no container.
            return name.dropLast(id.count).hasSuffix(":cri-containerd:") ? .containerd : nil
        }
    }

    private typealias Other = (runtime: Runtime, id: String, name: String)

    /// `/mesos/<uuid>`, and containers nested in it: `/mesos/<uuid>/mesos/<uuid>`.
    private static func mesos(_ parts: [String]) -> Other? {
        guard let root = parts.firstIndex(of: "mesos"), root + 1 < parts.count else { return nil }
        let names = parts[(root + 1)...].filter { $0 != "mesos" }
        guard names.allSatisfy(isUUID), let last = parts.last, last != "mesos" else { return nil }
        return (.mesos, "mesos:\(names.joined(separator: "."))", last)
    }

    /// `/lxc/<name>` and `/lxc.payload.<name>`; not what the container has below, nor its monitor.
    private static func linuxContainer(_ parts: [String]) -> Other? {
        if parts.count == 2, parts[0] == "lxc" { return (.lxc, "lxc:\(parts[1])", parts[1]) }
        guard parts.count == 1, parts[0].hasPrefix("lxc.payload.") else { return nil }
        let name = String(parts[0].dropFirst("lxc.payload.".count))
        return name.isEmpty ? nil : (.lxc, "lxc:\(name)", name)
    }

    /// `/machine.slice/machine-<name>.scope`, `/machine.slice/systemd-nspawn@<name>.service`, libvirt's
    /// `/machine/<name>.libvirt-qemu`, Proxmox' `/qemu.slice/<number>.scope`, and rkt's pods among the first.
    private static func machine(_ parts: [String]) -> Other? {
        guard parts.count == 2 else { return nil }
        let (parent, last) = (parts[0], parts[1])
        if parent == "machine.slice" {
            var name = last
            if name.hasSuffix(".scope") {
                name = String(name.dropLast(".scope".count))
                guard name.hasPrefix("machine-") else { return nil }
                name = unescaped(String(name.dropFirst("machine-".count)))
            } else if name.hasPrefix("systemd-nspawn@"), name.hasSuffix(".service") {
                name = unescaped(String(name.dropFirst("systemd-nspawn@".count).dropLast(".service".count)))
            } else {
                return nil
            }
            if name.hasPrefix("rkt-") { return (.rkt, "rkt:\(name.dropFirst(4))", name) }
            return (.machine, "machine:\(name)", name)
        }
        if parent == "machine", last.contains(".libvirt-") {
            let name = String(last.prefix { $0 != "." })
            return (.machine, "machine:\(name)", name)
        }
        guard parent == "qemu.slice", last.hasSuffix(".scope") else { return nil }
        let name = String(last.dropLast(".scope".count))
        return (.machine, "machine:qemu-\(name)", "qemu-\(name)")
    }

    /// A service below a slice: `/system.slice/[…slice/]<unit>.service`, or one of a user,
    /// `/user.slice/user-<uid>.slice/user@<uid>.service/[…slice/]<unit>.service`.
    private static func unit(_ parts: [String]) -> Other? {
        guard parts.count >= 2, let last = parts.last, last.hasSuffix(".service"), parts[0].hasSuffix(".slice") else {
            return nil
        }
        var parents = parts.dropLast()[...]
        var user = ""
        if parents.first == "user.slice" {
            // The user's own manager is no service of anybody's, but what holds them.
            guard parents.count >= 3, parents[1].hasPrefix("user-"), parents[2].hasPrefix("user@") else { return nil }
            user = parents[1].dropFirst("user-".count).prefix { $0 != "." } + "/"
            parents = parents[3...]
        }
        guard parents.allSatisfy({ $0.hasSuffix(".slice") }) else { return nil }
        let name = unescaped(last)
        return (.systemd, "unit:\(user)\(name)", name)
    }

    private static func isUUID(_ text: String) -> Bool {
        text.utf8.count == 36
            && text.utf8.enumerated().allSatisfy { offset, byte in
                [8, 13, 18, 23].contains(offset) ? byte == UInt8(ascii: "-") : isDigit(byte)
            }
    }

    /// systemd writes what may not stand in a unit's name as `\x2d`.
    static func unescaped(_ text: String) -> String {
        EscapedText.unescaped(text, prefix: "\\x", digits: 2, radix: 16)
    }

    private static func isDigit(_ byte: UInt8) -> Bool {
        (0x30...0x39).contains(byte) || (0x61...0x66).contains(byte)
    }

    /// `pod<uid>` and `kubepods-burstable-pod<uid>.slice`; systemd's names have underscores for dashes, and the uids of
    /// static pods have neither.
    private static func podUID(_ part: String) -> String? {
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
