/// `| decolorize`: takes colour codes out of the line.
package struct DecolorizeStage: KeywordStage {
    static let keyword = "decolorize"
    package var span: SourceSpan

    package var description: String { "| decolorize" }

    static func parse(_ parser: inout LogQLParser, span: SourceSpan) throws(QueryError) -> DecolorizeStage {
        DecolorizeStage(span: span)
    }

    var changesText: Bool { true }

    func process(_ line: inout PipelineLine) -> Bool {
        guard line.text.contains(0x1b) else { return true }
        var result: [UInt8] = []
        var rest = line.text
        while let byte = rest.first {
            if byte == 0x1b, let end = DecolorizeStage.endOfSequence(rest) {
                rest = rest[end...]
            } else {
                result.append(byte)
                rest = rest.dropFirst()
            }
        }
        line.text = result[...]
        return true
    }

    /// Behind a control sequence of ECMA-48 at the start of `text`: a CSI (`ESC [ parameters final`), or an operating
    /// system command that ends with BEL or ST.
    private static func endOfSequence(_ text: ArraySlice<UInt8>) -> Int? {
        var index = text.startIndex + 1
        guard index < text.endIndex else { return nil }
        switch text[index] {
        case UInt8(ascii: "["):
            index += 1
            while index < text.endIndex, (0x20...0x3f).contains(text[index]) { index += 1 }
            return index < text.endIndex && (0x40...0x7e).contains(text[index]) ? index + 1 : nil
        case UInt8(ascii: "]"):
            while index < text.endIndex {
                if text[index] == 0x07 { return index + 1 }
                if text[index] == 0x1b, index + 1 < text.endIndex, text[index + 1] == UInt8(ascii: "\\") {
                    return index + 2
                }
                index += 1
            }
            return nil
        // Character sets: ESC ( B.
        case UInt8(ascii: "("), UInt8(ascii: ")"): return index + 1 < text.endIndex ? index + 2 : nil
        default: return nil
        }
    }
}
