internal import Query
internal import Telemetry

/// Prints the answer of a query for people: a table for one time; for a range a plot on a terminal, and elsewhere a
/// line with a small plot for each series. And as CSV for spreadsheets.
struct QueryPrinter {
    private static let levels = Array("▁▂▃▄▅▆▇█")

    /// What the numbers are.
    private let unit: ValueUnit
    private let canvas: (columns: Int, rows: Int)?

    /// A printer for answers of `expression`; draws a plot where `canvas` is given.
    init(expression: String, canvas: (columns: Int, rows: Int)?) {
        unit = (try? Engine.parse(expression)).map { ValueUnit($0) } ?? .number
        self.canvas = canvas
    }

    /// `data` of an answer of /api/v1/query or /api/v1/query_range.
    func text(_ data: JSONValue) -> String {
        let result = data["result"]
        switch data["resultType"]?.text {
        case "scalar": return "\(number(result?[1]))\n"
        case "string": return (result?[1]?.text ?? "") + "\n"
        case "matrix": return matrix(result?.elements ?? [])
        default: return vector(result?.elements ?? [])
        }
    }

    // MARK: One time

    private func vector(_ elements: [JSONValue]) -> String {
        guard !elements.isEmpty else { return "no series\n" }
        let (names, cells) = QueryPrinter.columns(elements)
        var table = TextTable(names + ["value"], alignments: names.map { _ in .left } + [.right])
        for (element, cells) in zip(elements, cells) {
            let histogram = element["histogram"]?[1]
            let value = histogram.map { "count \($0["count"]?.text ?? ""), sum \($0["sum"]?.text ?? "")" }
            table.append(cells + [value ?? number(element["value"]?[1])])
        }
        return table.render(width: canvas?.columns)
    }

    private func number(_ value: JSONValue?) -> String {
        value?.text.flatMap(QueryPrinter.double).map(unit.text) ?? value?.text ?? ""
    }

    private static func double(_ text: String) -> Double? {
        switch text {
        case "+Inf": .infinity
        case "-Inf": -.infinity
        default: Double(text)
        }
    }

    // MARK: Ranges

    private func matrix(_ elements: [JSONValue]) -> String {
        guard !elements.isEmpty else { return "no series\n" }
        let (names, cells) = QueryPrinter.columns(elements)
        let series = elements.map(QueryPrinter.samples)
        guard let canvas else { return table(names, cells, series) }
        let start = series.compactMap(\.first?.time).min() ?? 0
        let end = series.compactMap(\.last?.time).max() ?? start
        let step = series.flatMap { zip($0.dropFirst(), $0).map { $0.time - $1.time } }.filter { $0 > 0 }.min() ?? 1
        let lines = zip(cells, series).map { cells, samples in
            Plot.Line(
                name: cells.filter { !$0.isEmpty }.joined(separator: " "),
                values: QueryPrinter.spaced(samples, start: start, end: end, step: step))
        }
        // The picture and the table below show the highest, and both fit on the screen.
        let ranked = lines.indices.sorted {
            (lines[$0].values.filter(\.isFinite).max() ?? -.infinity)
                > (lines[$1].values.filter(\.isFinite).max() ?? -.infinity)
        }
        let drawn = ranked.prefix(Plot.linesMaximum)
        let legendRows = drawn.count + (ranked.count > drawn.count ? 3 : 2)
        let plot = Plot(
            width: canvas.columns, height: max(8, min(canvas.rows - legendRows, 22)), usesColour: Terminal.usesColour,
            unit: unit)
        var text = plot.render(
            drawn.map { lines[$0] }, startMilliseconds: Int64(start * 1000), endMilliseconds: Int64(end * 1000))
        var legend = TextTable(
            [""] + names + ["min", "max", "last"],
            alignments: [.left] + names.map { _ in .left } + [.right, .right, .right])
        for (place, index) in drawn.enumerated() {
            legend.append([plot.mark(place, of: drawn.count)] + cells[index] + summary(series[index].map(\.value)))
        }
        text += legend.render(width: canvas.columns)
        if ranked.count > drawn.count {
            text += "the highest \(drawn.count) of \(ranked.count) series are drawn; -o csv lists all\n"
        }
        return text
    }

    private func table(_ names: [String], _ cells: [[String]], _ series: [[(time: Double, value: Double)]]) -> String {
        var table = TextTable(
            names + ["min", "max", "last", "plot"],
            alignments: names.map { _ in .left } + [.right, .right, .right, .left])
        for (cells, samples) in zip(cells, series) {
            let values = samples.map(\.value)
            table.append(cells + summary(values) + [QueryPrinter.sparkline(values)])
        }
        return table.render()
    }

    private func summary(_ values: [Double]) -> [String] {
        let finite = values.filter(\.isFinite)
        return [finite.min(), finite.max(), values.last].map { $0.map(unit.text) ?? "" }
    }

    private static func samples(_ element: JSONValue) -> [(time: Double, value: Double)] {
        (element["values"]?.elements ?? []).compactMap { pair in
            guard let time = pair[0]?.double, let value = pair[1]?.text.flatMap(double) else { return nil }
            return (time, value)
        }
    }

    private static func spaced(
        _ samples: [(time: Double, value: Double)], start: Double, end: Double, step: Double
    ) -> [Double] {
        var values = [Double](repeating: .nan, count: Int(((end - start) / step).rounded()) + 1)
        for sample in samples {
            let place = Int(((sample.time - start) / step).rounded())
            if values.indices.contains(place) { values[place] = sample.value }
        }
        return values
    }

    private static func sparkline(_ values: [Double]) -> String {
        let finite = values.filter(\.isFinite)
        guard let low = finite.min(), let high = finite.max() else { return "" }
        return String(
            values.suffix(60).map { value -> Character in
                guard value.isFinite else { return " " }
                let share = high > low ? (value - low) / (high - low) : 0.5
                return levels[min(levels.count - 1, Int(share * Double(levels.count)))]
            })
    }

    // MARK: Labels

    /// The labels in which the series differ or that name them, one column each.
    private static func columns(_ elements: [JSONValue]) -> (names: [String], cells: [[String]]) {
        let metrics = elements.map(labels)
        let all = Set(metrics.flatMap(\.keys))
        // A column that says the same of every series says nothing, unless there is but one series.
        let telling = all.filter { name in metrics.count == 1 || Set(metrics.map { $0[name] ?? "" }).count > 1 }
        let names = telling.sorted { ($0 == "__name__" ? "" : $0) < ($1 == "__name__" ? "" : $1) }
        let titles = names.map { $0 == "__name__" ? "metric" : $0 }
        return (titles, metrics.map { metric in names.map { metric[$0] ?? "" } })
    }

    private static func labels(_ element: JSONValue) -> [String: String] {
        Dictionary((element["metric"]?.members ?? []).map { ($0.key, $0.value.text ?? "") }) { $1 }
    }

    // MARK: CSV

    /// The answer as CSV (RFC 4180): a line per sample with its labels, its time and its exact value.
    static func csv(_ data: JSONValue) -> String {
        let result = data["result"]
        let isSingle = data["resultType"]?.text == "scalar" || data["resultType"]?.text == "string"
        let elements = isSingle ? [] : result?.elements ?? []
        let metrics = elements.map(labels)
        let names = Set(metrics.flatMap(\.keys)).sorted()
        var lines = [names + ["timestamp", "value"]]
        func append(_ cells: [String], _ pair: JSONValue?) {
            let value = pair?[1]?.text ?? pair?[1].map { String(decoding: $0.encoded, as: UTF8.self) } ?? ""
            lines.append(cells + [pair?[0]?.double.map(FloatText.plain) ?? "", value])
        }
        if isSingle { append([], result) }
        for (element, metric) in zip(elements, metrics) {
            let cells = names.map { metric[$0] ?? "" }
            for key in ["value", "histogram"] { if let pair = element[key] { append(cells, pair) } }
            for key in ["values", "histograms"] { for pair in element[key]?.elements ?? [] { append(cells, pair) } }
        }
        return lines.map { $0.map(field).joined(separator: ",") + "\r\n" }.joined()
    }

    private static func field(_ text: String) -> String {
        guard text.utf8.contains(where: { "\",\r\n".utf8.contains($0) }) else { return text }
        return "\"" + text.replacing("\"", with: "\"\"") + "\""
    }
}
