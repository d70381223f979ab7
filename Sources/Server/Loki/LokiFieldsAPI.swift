internal import Query
internal import Telemetry
internal import Transport
internal import Wire

/// `/loki/api/v1/detected_labels`, `/detected_fields`, `/detected_field/<name>/values`: what there is to ask for,
/// found out from the newest lines.
struct LokiFieldsAPI: Sendable {
    let dependencies: ServerDependencies
    let runner: QueryRunner

    private static let linesDefault = 1_000
    private static let linesMaximum = 50_000
    private static let fieldsDefault = 1_000

    /// The labels of streams, with the number of their values.
    func labels(_ request: ServerRequest) async throws -> ListenerResponse {
        let parameters = try await request.parameters()
        let range = try LokiSpan.range(
            parameters, nowNanoseconds: dependencies.wallClock.nowNanoseconds,
            defaultSpanNanoseconds: LokiSpan.labelNanoseconds)
        let matchers = try LokiSpan.matchers(parameters)
        let source = dependencies.logSource
        let description = QueryRunner.Description(
            kind: "detected labels", text: parameters["query"] ?? "", of: request)
        return try await runner.run(description) { context in
            var values: [String: Set<String>] = [:]
            for stream in try source.streams(LogRequest(matchers: matchers, range: range), in: context) {
                for (name, value) in stream.pairs { values[name, default: []].insert(value) }
            }
            let sorted = values.sorted { $0.key < $1.key }
            return .json(
                JSONWriter.object { writer in
                    writer.key("detectedLabels")
                    writer.beginArray()
                    for (name, values) in sorted {
                        writer.beginObject()
                        writer.member("label", name)
                        writer.member("cardinality", values.count)
                        writer.endObject()
                    }
                    writer.endArray()
                })
        }.value
    }

    /// The fields within lines, with type, number of values and parser.
    func fields(_ request: ServerRequest) async throws -> ListenerResponse {
        let parameters = try await request.parameters()
        let limit = try LokiFieldsAPI.limit(parameters)
        return try await detect(request, parameters, fieldsMaximum: limit) { fields in
            .json(
                JSONWriter.object { writer in
                    writer.key("fields")
                    writer.beginArray()
                    for field in fields {
                        writer.beginObject()
                        writer.member("label", field.name)
                        writer.member("type", field.kind.rawValue)
                        writer.member("cardinality", field.values.count)
                        writer.key("parsers")
                        if field.parsers.isEmpty {
                            writer.null()
                        } else {
                            writer.beginArray()
                            for parser in field.parsers { writer.string(parser) }
                            writer.endArray()
                        }
                        writer.endObject()
                    }
                    writer.endArray()
                    writer.member("limit", limit)
                })
        }
    }

    /// The values of one field.
    func values(_ request: ServerRequest) async throws -> ListenerResponse {
        let parameters = try await request.parameters()
        let limit = try LokiFieldsAPI.limit(parameters)
        let name = request.capture("name")
        return try await detect(request, parameters, fieldsMaximum: .max) { fields in
            let values = fields.first { $0.name == name }?.values ?? []
            return .json(
                JSONWriter.object { writer in
                    writer.key("values")
                    writer.beginArray()
                    for value in values.prefix(limit) { writer.string(value) }
                    writer.endArray()
                    writer.member("limit", limit)
                })
        }
    }

    private static func limit(_ parameters: RequestParameters) throws -> Int {
        try parameters.count("limit") ?? parameters.count("field_limit") ?? fieldsDefault
    }

    private func detect(
        _ request: ServerRequest, _ parameters: RequestParameters, fieldsMaximum: Int,
        _ answer: @escaping @Sendable ([FieldDetector.Field]) -> ListenerResponse
    ) async throws -> ListenerResponse {
        let range = try LokiSpan.range(parameters, nowNanoseconds: dependencies.wallClock.nowNanoseconds)
        let lines = min(try parameters.count("line_limit") ?? LokiFieldsAPI.linesDefault, LokiFieldsAPI.linesMaximum)
        let text = try parameters.required("query")
        let engine = dependencies.engine()
        let description = QueryRunner.Description(
            kind: "detected fields", text: text, of: request)
        return try await runner.run(description) { context in
            let reader = try engine.openLines(
                text, range: range, limit: max(1, lines), direction: .backward, in: context)
            var detector = FieldDetector(fieldsMaximum: fieldsMaximum)
            while let lines = try reader.next() {
                for line in lines { detector.add(line) }
            }
            return answer(detector.fields)
        }.value
    }
}

extension JSONWriter {
    /// One object.
    static func object(_ body: (inout JSONWriter) -> Void) -> [UInt8] {
        var writer = JSONWriter()
        writer.beginObject()
        body(&writer)
        writer.endObject()
        return writer.bytes
    }
}
