import Testing

@testable import Agent

/// Reading numbers and keys in place.
@Suite struct FieldScannerTests {
    @Test func keysAreFoundInAnyOrderAndAbsentOnesAreZero() {
        var fields = KeyedFields(["anon", "file", "missing"])
        let text = Array("file 2\nanon_thp 7\nanon 18446744073709551615\n".utf8)
        text.withUnsafeBytes { fields.parse($0) }
        #expect(fields.values == [.max, 2, 0])
        #expect(fields.has(0) && fields.has(1) && !fields.has(2))
        Array("anon 1".utf8).withUnsafeBytes { fields.parse($0) }
        #expect(fields.values == [1, 0, 0])
    }

    @Test func numbersBeyond64BitsSaturateAndWordsAreNoNumbers() {
        let text = Array("99999999999999999999999 max -1 12".utf8)
        text.withUnsafeBytes { raw in
            var scanner = FieldScanner(raw)
            #expect(scanner.unsigned() == .max)
            #expect(scanner.unsigned() == nil)
            #expect(scanner.unsigned() == nil)
            #expect(scanner.unsigned() == 12)
            #expect(scanner.unsigned() == nil)
        }
    }

    @Test func mountPointsWithSpacesAreUnescaped() {
        #expect(MountTable.unescaped("/srv/my\\040data\\134x") == "/srv/my data\\x")
        #expect(MountTable.parse("broken line\n\n1 2 3 - x").isEmpty)
    }
}
