internal import TestSupport
internal import Testing

/// A short run of this room's fuzzers; long ones are started by hand.
struct QueryFuzzerTests {
    @Test func theParserAnswersOrRefuses() throws {
        try PromQLParserFuzzer.runFromTable()
    }

    @Test func whatIsPrintedReadsAsTheSame() throws {
        try PromQLPrinterFuzzer.runFromTable()
    }
}
