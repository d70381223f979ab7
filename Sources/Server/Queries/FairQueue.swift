/// What waits, of several clients: those with less at work go first, equal ones in turn, and of one client whoever came
/// first. So one that asks for a hundred things at once keeps nobody else waiting behind all of them.
struct FairQueue<Element> {
    /// What waits of each client, in order of arrival.
    private var lines: [String: [Element]] = [:]
    /// Clients of whom something waits, in the order of their turns.
    private var clients: [String] = []
    private(set) var count = 0

    var isEmpty: Bool { count == 0 }

    mutating func append(_ element: Element, of client: String) {
        if lines[client, default: []].isEmpty { clients.append(client) }
        lines[client, default: []].append(element)
        count += 1
    }

    /// Takes what goes next, and its client; nil where every client who waits has `maximum` at work.
    mutating func popFirst(
        below maximum: Int = .max, atWork: [String: Int]
    ) -> (element: Element, client: String)? {
        var best: (place: Int, atWork: Int)?
        for (place, client) in clients.enumerated() {
            let count = atWork[client] ?? 0
            if count < maximum, count < best?.atWork ?? .max { best = (place, count) }
            if count == 0 { break }
        }
        guard let best else { return nil }
        let client = clients.remove(at: best.place)
        guard let element = lines[client]?.removeFirst() else { return nil }
        if lines[client]?.isEmpty == true { lines[client] = nil } else { clients.append(client) }
        count -= 1
        return (element, client)
    }

    /// Takes out the first of a client's that satisfies a condition.
    mutating func remove(of client: String, where condition: (Element) -> Bool) -> Element? {
        guard let index = lines[client]?.firstIndex(where: condition) else { return nil }
        let element = lines[client]?.remove(at: index)
        count -= 1
        if lines[client]?.isEmpty == true {
            lines[client] = nil
            clients.removeAll { $0 == client }
        }
        return element
    }

    /// Takes everything.
    mutating func removeAll() -> [Element] {
        defer { self = FairQueue() }
        return clients.flatMap { lines[$0] ?? [] }
    }
}

extension [String: Int] {
    /// One more of a client's is at work, or one less.
    mutating func change(_ client: String, by change: Int) {
        let count = (self[client] ?? 0) + change
        self[client] = count == 0 ? nil : count
    }
}
