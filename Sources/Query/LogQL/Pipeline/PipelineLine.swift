/// A line on its way through a pipeline.
struct PipelineLine {
    let nanoseconds: Int64
    /// As the stages so far have left it.
    var text: ArraySlice<UInt8>
    var labels: LineLabels
    /// The time of the query, for templates that ask what time it is.
    let nowMilliseconds: Int64

    /// The text; bytes that are not UTF-8 become U+FFFD.
    var string: String { String(decoding: text, as: UTF8.self) }
}
