/// Byte sizes as text: "10KB" is 10,000 and "10KiB" is 10,240, as LogQL and go-humanize have it.
package enum ByteSizes {
    /// The bytes that `text` stands for: a decimal number, an optional space and a unit of any case (B, kB, K, KiB, Ki
    /// and so on up to E; none is bytes). Nil for other text or more than 2^63-1.
    package static func bytes(_ text: String) -> Int64? {
        let number = text.prefix { $0.isASCII && ($0.isNumber || $0 == "." || $0 == ",") }
        let digits = number.filter { $0 != "," }
        guard !digits.isEmpty, let value = FloatText.parse(digits) else { return nil }
        let unit = text.dropFirst(number.count).drop { $0 == " " }.lowercased()
        guard let factor = factors[unit.isEmpty ? "b" : unit] else { return nil }
        if let whole = Int64(digits), case let product = whole.multipliedReportingOverflow(by: factor) {
            return product.overflow ? nil : product.partialValue
        }
        let bytes = (value * Double(factor)).rounded(.down)
        return bytes < 0x1p63 ? Int64(bytes) : nil
    }

    /// Powers of 1024 with a decimal where it tells something: "1.5 MiB", "12 GiB", "0 B".
    package static func binary(_ bytes: Int64) -> String {
        scaled(bytes, 1024, ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"])
    }

    /// Powers of 1000 with a decimal where it tells something: "1.5 MB", "12 GB", "0 B".
    package static func decimal(_ bytes: Int64) -> String {
        scaled(bytes, 1000, ["B", "kB", "MB", "GB", "TB", "PB", "EB"])
    }

    private static let factors: [String: Int64] = {
        var factors: [String: Int64] = ["b": 1]
        var decimal: Int64 = 1
        var binary: Int64 = 1
        for letter in ["k", "m", "g", "t", "p", "e"] {
            decimal *= 1000
            binary *= 1024
            factors[letter] = decimal
            factors[letter + "b"] = decimal
            factors[letter + "i"] = binary
            factors[letter + "ib"] = binary
        }
        return factors
    }()

    private static func scaled(_ bytes: Int64, _ base: Double, _ units: [String]) -> String {
        var value = Double(bytes.magnitude)
        var index = 0
        // 1023.95 would be printed as "1024.0".
        while value >= base - 0.05, index + 1 < units.count, value >= base || index > 0 {
            value /= base
            index += 1
        }
        let sign = bytes < 0 ? "-" : ""
        let rounded = (value * 10).rounded() / 10
        let isWhole = index == 0 || rounded >= 10 || rounded == rounded.rounded()
        let digits = FloatText.formatted(value, verb: "f", precision: isWhole ? 0 : 1)
        return "\(sign)\(digits) \(units[index])"
    }
}
