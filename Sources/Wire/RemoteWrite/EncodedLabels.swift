internal import Telemetry

/// Compares labels with what a request says, without decoding it.
enum EncodedLabels {
    private static let labelTag: UInt8 = 0x0a
    private static let nameTag: UInt8 = 0x0a
    private static let valueTag: UInt8 = 0x12

    /// How many bytes of `message`, a `TimeSeries`, say exactly `labels` in their canonical order and are followed by
    /// no other label; 0 where they say anything else, or the same in another way.
    @inline(__always)
    static func length(of labels: Labels, in message: UnsafeRawBufferPointer) -> Int {
        labels.encoded.withUnsafeBytes { labels in length(of: labels, in: message) }
    }

    private static func length(of labels: UnsafeRawBufferPointer, in message: UnsafeRawBufferPointer) -> Int {
        var place = 0
        var known = 0
        while place < message.count, message[place] == labelTag {
            // Tag and length of the label, then name and value, each with tag and length: name and value stand in
            // `labels` with the same lengths in front.
            place += 1
            guard let labelBytes = varint(message, &place), place + labelBytes <= message.count else { return 0 }
            let label = UnsafeRawBufferPointer(rebasing: message[place..<place + labelBytes])
            place += labelBytes
            var (next, field) = (known, 0)
            if take(nameTag, labels, &next, label, &field), take(valueTag, labels, &next, label, &field),
                field == label.count
            {
                known = next
            } else if !hasNoValue(label) {
                return 0
            }
        }
        return known == labels.count ? place : 0
    }

    /// Whether a label has an empty value, so that it is none.
    private static func hasNoValue(_ label: UnsafeRawBufferPointer) -> Bool {
        guard label.count >= 4, label[label.count - 1] == 0, label[label.count - 2] == valueTag else { return false }
        return label[0] == nameTag && Int(label[1]) == label.count - 4
    }

    /// Passes over one field that is the same on both sides.
    @inline(__always)
    private static func take(
        _ tag: UInt8, _ labels: UnsafeRawBufferPointer, _ known: inout Int, _ message: UnsafeRawBufferPointer,
        _ place: inout Int
    ) -> Bool {
        let start = known
        guard let bytes = varint(labels, &known), known + bytes <= labels.count else { return false }
        known += bytes
        let count = known - start
        guard place < message.count, message[place] == tag, place + 1 + count <= message.count,
            let left = labels.baseAddress, let right = message.baseAddress
        else { return false }
        defer { place += 1 + count }
        return isSame(left + start, right + place + 1, count)
    }

    /// A length of one or two bytes, which those of labels are; nil for longer ones.
    @inline(__always)
    private static func varint(_ bytes: UnsafeRawBufferPointer, _ place: inout Int) -> Int? {
        guard place < bytes.count else { return nil }
        let first = bytes[place]
        place += 1
        if first < 0x80 { return Int(first) }
        guard place < bytes.count, bytes[place] < 0x80 else { return nil }
        defer { place += 1 }
        return Int(first & 0x7f) | Int(bytes[place]) << 7
    }

    /// Equality of short runs, eight bytes at a time; the last eight may overlap those before.
    @inline(__always)
    private static func isSame(_ left: UnsafeRawPointer, _ right: UnsafeRawPointer, _ count: Int) -> Bool {
        if count < 8 {
            for index in 0..<count
            where left.load(fromByteOffset: index, as: UInt8.self) != right.load(fromByteOffset: index, as: UInt8.self)
            { return false }
            return true
        }
        var place = 0
        while place < count {
            let next = min(place, count - 8)
            let word = left.loadUnaligned(fromByteOffset: next, as: UInt64.self)
            if word != right.loadUnaligned(fromByteOffset: next, as: UInt64.self) { return false }
            place += 8
        }
        return true
    }
}
