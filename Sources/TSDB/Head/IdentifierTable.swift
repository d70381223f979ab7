internal import Synchronization

/// Gives out ids that rise, one to each that asks.
final class IdentifierSource: Sendable {
    private let nextID: Atomic<UInt64>

    /// The first id is `first`.
    init(first: UInt64) {
        nextID = Atomic(first)
    }

    /// An id that nobody has.
    func next() -> UInt64 { nextID.add(1, ordering: .relaxed).oldValue }
}

/// Small numbers by 64-bit ids that come in long rising runs, as those of the log do: pages of consecutive ids, found
/// by one look into a dictionary, and by none as long as the page stays the same.
struct IdentifierTable {
    private static let pageBits: UInt64 = 10
    private static let absent: Int32 = -1

    private var pages: [[Int32]] = []
    private var pageOf: [UInt64: Int] = [:]
    private var last: (key: UInt64, page: Int)?

    /// The number of an id; nil when it has none.
    subscript(id: UInt64) -> Int? {
        mutating get {
            guard let page = page(of: id) else { return nil }
            let found = pages[page][Self.place(of: id)]
            return found == Self.absent ? nil : Int(found)
        }
    }

    /// Gives an id a number.
    mutating func set(_ id: UInt64, to number: Int) {
        if page(of: id) == nil {
            let key = id >> Self.pageBits
            pageOf[key] = pages.count
            last = (key, pages.count)
            pages.append([Int32](repeating: Self.absent, count: 1 << Int(Self.pageBits)))
        }
        if let page = page(of: id) { pages[page][Self.place(of: id)] = Int32(number) }
    }

    private mutating func page(of id: UInt64) -> Int? {
        let key = id >> Self.pageBits
        if let last, last.key == key { return last.page }
        guard let page = pageOf[key] else { return nil }
        last = (key, page)
        return page
    }

    private static func place(of id: UInt64) -> Int { Int(id & ((1 << pageBits) - 1)) }
}
