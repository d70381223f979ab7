/// The names of a simulated disk, twice: as the running system sees them and as a power cut would leave them.
struct NameTable {
    /// What a name stands for.
    enum Node: Equatable {
        case folder
        case file(Int)
    }

    private struct Change {
        /// The folders whose sync makes it durable.
        var folders: [String]
        var kind: Kind

        enum Kind {
            case set(String, Node)
            case remove(String)
            case move(String, to: String)
        }
    }

    private(set) var live: [String: Node] = [:]
    private var durable: [String: Node] = [:]
    private var pending: [Change] = []

    /// Only the root.
    init() {}

    /// What `path` stands for; the root is a folder.
    subscript(path: String) -> Node? { path.isEmpty ? .folder : live[path] }

    /// The names directly in a folder, with what they stand for.
    func children(of folder: String) -> [(name: String, node: Node)] {
        let prefix = folder.isEmpty ? "" : folder + "/"
        return live.compactMap { path, node in
            guard path.hasPrefix(prefix), !path.dropFirst(prefix.count).contains("/") else { return nil }
            return (String(path.dropFirst(prefix.count)), node)
        }.sorted { $0.name < $1.name }
    }

    /// Adds a folder, durable at once as the port promises.
    mutating func addFolder(_ path: String) {
        live[path] = .folder
        durable[path] = .folder
    }

    /// Gives a file a name.
    mutating func set(_ path: String, _ node: Node) { change(.set(path, node), in: [Self.parent(of: path)]) }

    /// Takes a name away.
    mutating func remove(_ path: String) { change(.remove(path), in: [Self.parent(of: path)]) }

    /// Renames a file or a whole folder.
    mutating func move(_ path: String, to other: String) {
        change(.move(path, to: other), in: [Self.parent(of: path), Self.parent(of: other)])
    }

    /// Makes the changes in a folder durable. A file that came from another folder takes that one's changes along.
    mutating func sync(_ folder: String) {
        var folders: Set = [folder]
        for change in pending.reversed() where !folders.isDisjoint(with: change.folders) {
            folders.formUnion(change.folders)
        }
        for change in pending where !folders.isDisjoint(with: change.folders) { Self.apply(change.kind, to: &durable) }
        pending.removeAll { !folders.isDisjoint(with: $0.folders) }
    }

    /// What a power cut leaves: either the first few changes, as with a journal, or any of them.
    func survivor(using generator: inout SeededGenerator) -> NameTable {
        var names = durable
        let isOrdered = generator.oneIn(2)
        let kept = generator.int(in: 0..<pending.count + 1)
        for (index, change) in pending.enumerated() where isOrdered ? index < kept : generator.oneIn(2) {
            Self.apply(change.kind, to: &names)
        }
        return NameTable(durable: names)
    }

    private init(durable: [String: Node]) {
        live = durable
        self.durable = durable
    }

    private mutating func change(_ kind: Change.Kind, in folders: [String]) {
        pending.append(Change(folders: folders, kind: kind))
        Self.apply(kind, to: &live)
    }

    private static func apply(_ kind: Change.Kind, to names: inout [String: Node]) {
        switch kind {
        case .set(let path, let node): names[path] = node
        case .remove(let path): names[path] = nil
        case .move(let path, let other):
            for (name, node) in names where name == path || name.hasPrefix(path + "/") {
                names[name] = nil
                names[other + name.dropFirst(path.count)] = node
            }
        }
    }

    static func parent(of path: String) -> String {
        path.lastIndex(of: "/").map { String(path[..<$0]) } ?? ""
    }
}
