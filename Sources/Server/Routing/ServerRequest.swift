internal import Transport
internal import Wire

/// A request that has found its route and its principal.
struct ServerRequest: Sendable {
    let listener: ListenerRequest
    /// The path without its query.
    let path: String
    /// What stands in the pattern's places, by name.
    let captures: [String: String]
    let principal: Principal
    private let query: Substring

    init(_ listener: ListenerRequest, captures: [String: String], principal: Principal) {
        self.listener = listener
        self.captures = captures
        self.principal = principal
        let target = listener.target
        let mark = target.firstIndex(of: "?") ?? target.endIndex
        path = String(target[..<mark])
        query = mark == target.endIndex ? "" : target[target.index(after: mark)...]
    }

    /// A form longer than this is no query.
    static let formBytesMaximum = 4 << 20

    /// What stands in the pattern's place `name`.
    func capture(_ name: String) -> String { captures[name] ?? "" }

    /// The parameters of the query string alone.
    func queryParameters() throws(APIFailure) -> RequestParameters {
        guard let pairs = FormText.pairs(query) else {
            throw APIFailure(.badData, "the query string has a broken percent escape")
        }
        return RequestParameters(pairs)
    }

    /// The parameters of the form body, where there is one, and of the query string.
    func parameters() async throws -> RequestParameters {
        var pairs = FormText.pairs(query)
        if listener.method == "POST", isForm {
            let body = try await listener.body.collect(upTo: ServerRequest.formBytesMaximum)
            if let form = FormText.pairs(String(decoding: body, as: UTF8.self)) {
                pairs = pairs.map { form + $0 }
            } else {
                pairs = nil
            }
        }
        guard let pairs else { throw APIFailure(.badData, "the parameters have a broken percent escape") }
        return RequestParameters(pairs)
    }

    private var isForm: Bool {
        (listener.fields["content-type"] ?? "").lowercased().hasPrefix("application/x-www-form-urlencoded")
    }

    /// Whether the client takes gzip.
    var acceptsGzip: Bool {
        listener.fields.contains { field in
            guard field.name.lowercased() == "accept-encoding" else { return false }
            return field.value.lowercased().split(separator: ",").contains { part in
                let pieces = part.split(separator: ";").map { $0.filter { $0 != " " } }
                return (pieces.first == "gzip" || pieces.first == "*") && !pieces.dropFirst().contains("q=0")
            }
        }
    }
}
