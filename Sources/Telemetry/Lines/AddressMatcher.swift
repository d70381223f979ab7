/// LogQL's `ip("…")`: finds an address in a line that equals an address, lies in a range or in a CIDR block.
/// Both families are 128-bit numbers here; an IPv4 address never equals an IPv6 one.
package struct AddressMatcher: Sendable {
    /// An address of either family.
    struct Address: Equatable {
        var isVersion6: Bool
        var number: UInt128
    }

    private let isVersion6: Bool
    private let range: ClosedRange<UInt128>

    /// Reads "10.0.0.1", "10.0.0.1-10.0.0.9", "10.0.0.0/8" and the same of IPv6; nil for anything else.
    package init?(_ text: String) {
        if let slash = text.firstIndex(of: "/") {
            guard let base = AddressMatcher.parse(Array(text[..<slash].utf8)),
                let length = Int(text[text.index(after: slash)...]), length >= 0
            else { return nil }
            let width = base.isVersion6 ? 128 : 32
            guard length <= width else { return nil }
            let hostBits = width - length
            let hosts: UInt128 = hostBits == 128 ? .max : (1 << UInt128(hostBits)) - 1
            isVersion6 = base.isVersion6
            range = (base.number & ~hosts)...(base.number | hosts)
        } else if let dash = text.firstIndex(of: "-") {
            guard let first = AddressMatcher.parse(Array(text[..<dash].utf8)),
                let last = AddressMatcher.parse(Array(text[text.index(after: dash)...].utf8)),
                first.isVersion6 == last.isVersion6, first.number <= last.number
            else { return nil }
            isVersion6 = first.isVersion6
            range = first.number...last.number
        } else {
            guard let only = AddressMatcher.parse(Array(text.utf8)) else { return nil }
            isVersion6 = only.isVersion6
            range = only.number...only.number
        }
    }

    /// Whether some address in `line` matches.
    package func matches(_ line: UnsafeRawBufferPointer) -> Bool {
        var start = 0
        while start < line.count {
            guard AddressMatcher.isAddressByte(line[start]) else {
                start += 1
                continue
            }
            var end = start
            var separators = 0
            while end < line.count, AddressMatcher.isAddressByte(line[end]) {
                if line[end] == UInt8(ascii: ".") || line[end] == UInt8(ascii: ":") { separators += 1 }
                end += 1
            }
            if separators >= 2, matchesRun(line[start..<end]) { return true }
            start = end
        }
        return false
    }

    /// A run of address bytes may carry what is not of the address: "from 10.0.0.1:" or "10.0.0.1:8080".
    private func matchesRun(_ run: Slice<UnsafeRawBufferPointer>) -> Bool {
        let isSeparator: (UInt8) -> Bool = { $0 == UInt8(ascii: ".") || $0 == UInt8(ascii: ":") }
        var bytes = Array(run)
        if let address = AddressMatcher.parse(bytes), contains(address) { return true }
        while let last = bytes.last, isSeparator(last) { bytes.removeLast() }
        if let first = bytes.firstIndex(where: { !isSeparator($0) }), first > 0, bytes[0] == UInt8(ascii: ".") {
            bytes.removeFirst(first)
        }
        if let address = AddressMatcher.parse(bytes), contains(address) { return true }
        for piece in bytes.split(separator: UInt8(ascii: ":")) where piece.contains(UInt8(ascii: ".")) {
            // Hexadecimal letters next to an IPv4 address belong to a word.
            let digits = piece.split { !($0 == UInt8(ascii: ".") || (0x30...0x39).contains($0)) }
            for candidate in digits {
                if let address = AddressMatcher.parse(Array(candidate)), contains(address) { return true }
            }
        }
        return false
    }

    private func contains(_ address: Address) -> Bool {
        address.isVersion6 == isVersion6 && range.contains(address.number)
    }

    private static func isAddressByte(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x3a, UInt8(ascii: "."), UInt8(ascii: "a")...UInt8(ascii: "f"),
            UInt8(ascii: "A")...UInt8(ascii: "F"):
            true
        default: false
        }
    }

    /// Reads one address.
    static func parse(_ text: [UInt8]) -> Address? {
        if text.contains(UInt8(ascii: ":")) { return parseVersion6(text) }
        return parseVersion4(text[...]).map { Address(isVersion6: false, number: UInt128($0)) }
    }

    private static func parseVersion4(_ text: ArraySlice<UInt8>) -> UInt32? {
        let fields = text.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard fields.count == 4 else { return nil }
        var number: UInt32 = 0
        for field in fields {
            guard (1...3).contains(field.count), field.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
            guard field.count == 1 || field.first != 0x30 else { return nil }
            let value = field.reduce(UInt32(0)) { $0 * 10 + UInt32($1 - 0x30) }
            guard value <= 255 else { return nil }
            number = number << 8 | value
        }
        return number
    }

    private static func parseVersion6(_ text: [UInt8]) -> Address? {
        let fields = text.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
        guard (3...9).contains(fields.count) else { return nil }
        var groups: [UInt16] = []
        var gap: Int?
        for (position, field) in fields.enumerated() {
            if field.isEmpty {
                // "::" is one empty field inside, or two at either end.
                let isEdge = position == 0 || position == fields.count - 1
                if isEdge {
                    let neighbour = position == 0 ? 1 : fields.count - 2
                    guard fields[neighbour].isEmpty else { return nil }
                    continue
                }
                guard gap == nil else { return nil }
                gap = groups.count
            } else if position == fields.count - 1, field.contains(UInt8(ascii: ".")) {
                guard let tail = parseVersion4(field) else { return nil }
                groups += [UInt16(tail >> 16), UInt16(truncatingIfNeeded: tail)]
            } else {
                guard field.count <= 4, let group = UInt16(String(decoding: field, as: UTF8.self), radix: 16) else {
                    return nil
                }
                groups.append(group)
            }
        }
        if let gap {
            guard groups.count < 8 else { return nil }
            groups.insert(contentsOf: repeatElement(0, count: 8 - groups.count), at: gap)
        }
        guard groups.count == 8 else { return nil }
        return Address(isVersion6: true, number: groups.reduce(0) { $0 << 16 | UInt128($1) })
    }
}
