/// Collects the words that a block's filter knows: identifiers, and words of columns that are kept as bytes. Also how
/// long the words are that it does not know, because only longer ones can be ruled out.
struct WordCollector {
    private(set) var hashes: [UInt64] = []
    /// The longest word that was collected.
    private(set) var longestIndexed = 0
    /// No word of the block that was not collected is longer.
    private(set) var longestUnindexed = wordBytesMinimum - 1
    /// The longest run of hexadecimal digits and hyphens in a word that was collected; one more in a word with other
    /// letters, which is longer than its run.
    private(set) var longestIndexedRun = 0
    /// No such run in what was not collected is longer.
    private(set) var longestUnindexedRun = wordBytesMinimum - 1

    /// Shorter words are not collected: they are in every block.
    static let wordBytesMinimum = 8

    /// Notes that there may be words of this length which were not collected.
    mutating func noteUnindexed(_ length: Int) { longestUnindexed = max(longestUnindexed, length) }

    /// The same of runs.
    mutating func noteUnindexedRun(_ length: Int) { longestUnindexedRun = max(longestUnindexedRun, length) }

    /// Collects one word.
    mutating func add(_ word: UnsafeRawBufferPointer) {
        hashes.append(WordHash.hash(word))
        longestIndexed = max(longestIndexed, word.count)
        if word.count > longestIndexedRun { longestIndexedRun = max(longestIndexedRun, WordCollector.run(in: word)) }
    }

    /// Collects the words of a text.
    mutating func addWords(of text: UnsafeRawBufferPointer) {
        WordCollector.forEachWord(of: text) { range in
            if range.count >= WordCollector.wordBytesMinimum { add(UnsafeRawBufferPointer(rebasing: text[range])) }
        }
    }

    /// The longest run of hexadecimal digits and hyphens in a word, one more where there are other letters.
    private static func run(in word: UnsafeRawBufferPointer) -> Int {
        let runs = WordRuns(identifiersIn: word)
        return runs.whole >= 0 ? word.count : runs.longest + 1
    }

    /// Calls `body` with the place of each word: a longest run of letters, digits and hyphens.
    static func forEachWord(of text: UnsafeRawBufferPointer, _ body: (Range<Int>) -> Void) {
        let classes = ByteClasses.table
        var index = 0
        while index < text.count {
            guard classes[Int(text[index])] & ByteClasses.word != 0 else {
                index += 1
                continue
            }
            let start = index
            while index < text.count, classes[Int(text[index])] & ByteClasses.word != 0 { index += 1 }
            body(start..<index)
        }
    }
}
