/// Bytes that may not stand in a text and are written as a code behind a prefix: in the kernel's tables (`\040`) and in
/// systemd's names of units (`\x2d`).
enum EscapedText {
    /// The text with each `prefix` and the `digits` digits of base `radix` behind it as the byte that they stand for.
    /// What is no such code stays as it is.
    static func unescaped(_ text: String, prefix: StaticString, digits: Int, radix: Int) -> String {
        let start = prefix.withUTF8Buffer { Array($0) }
        guard text.contains("\\") else { return text }
        var result: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.first {
            let code = rest.dropFirst(start.count).prefix(digits)
            if rest.starts(with: start), code.count == digits,
                let value = UInt8(String(decoding: code, as: UTF8.self), radix: radix)
            {
                result.append(value)
                rest = rest.dropFirst(start.count + digits)
            } else {
                result.append(byte)
                rest = rest.dropFirst()
            }
        }
        return String(decoding: result, as: UTF8.self)
    }
}
