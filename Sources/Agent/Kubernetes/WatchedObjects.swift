/// The objects of one kind that a server of Kubernetes has, followed by list and watch as its own clients do
/// (client-go, `tools/cache/reflector.go`): what to ask next, and what the answers make of the objects. Pure.
struct WatchedObjects<Object: Sendable> {
    /// What to ask next.
    enum Question: Equatable, Sendable {
        /// A list at least as new as `version` ("0": whatever the server has at hand; "": the newest there is), as a
        /// whole or in pages.
        case list(version: String, page: Page?)
        /// What happens after `version`.
        case watch(version: String)
    }

    /// A part of a list.
    struct Page: Equatable, Sendable {
        var size: Int
        /// Where the last page ended; nil for the first.
        var token: String?
    }

    /// What a watch tells of.
    enum Change: String, Sendable {
        case added = "ADDED"
        case modified = "MODIFIED"
        case deleted = "DELETED"
        /// Nothing but how far the watch is.
        case bookmark = "BOOKMARK"
    }

    /// All objects by what tells them apart.
    private(set) var objects: [String: Object] = [:]
    /// Whether a list came whole, ever.
    private(set) var isWhole = false
    /// What to ask next.
    private(set) var question = Question.list(version: "0", page: nil)
    /// Of a list that comes in pages, those that came.
    private var pages: [String: Object] = [:]
    private var version = ""

    /// Lists that are too long as a whole come in pages of so many.
    static var pageSize: Int { 25 }

    /// A list came, or a page of it.
    mutating func take(list: [String: Object], version: String, token: String) {
        pages.merge(list) { _, last in last }
        if !token.isEmpty {
            var size = Self.pageSize
            if case .list(_, let page?) = question { size = page.size }
            question = .list(version: "", page: Page(size: size, token: token))
            return
        }
        objects = pages
        pages = [:]
        isWhole = true
        self.version = version
        question = .watch(version: version)
    }

    /// A watch told of something; true where that changed an object.
    mutating func take(_ change: Change, key: String, object: Object?, version: String) -> Bool {
        if !version.isEmpty { self.version = version }
        question = .watch(version: self.version)
        switch change {
        case .bookmark: return false
        case .deleted: return objects.removeValue(forKey: key) != nil
        case .added, .modified:
            guard let object else { return false }
            objects[key] = object
            return true
        }
    }

    /// The server does not know what happened since the version it was asked for (410): ask for all, not older than
    /// what is known; and where even that is beyond it, for whatever there is.
    mutating func expired() {
        pages = [:]
        switch question {
        case .watch: question = .list(version: version.isEmpty ? "0" : version, page: nil)
        case .list(_, let page): question = .list(version: "", page: page.map { Page(size: $0.size, token: nil) })
        }
    }

    /// What a watch told could not be understood: it would say the same again, a list does not.
    mutating func unreadable() {
        pages = [:]
        question = .list(version: version.isEmpty ? "0" : version, page: nil)
    }

    /// A list is longer than what is read at once: ask for pages, and for smaller ones.
    mutating func tooLarge() {
        pages = [:]
        guard case .list(_, let page) = question else { return unreadable() }
        question = .list(version: "", page: Page(size: max(1, page.map { $0.size / 5 } ?? Self.pageSize), token: nil))
    }
}
