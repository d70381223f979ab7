internal import Query
internal import Telemetry
internal import Transport
internal import Wire

/// Why a request gets no answer: the status, Prometheus' `errorType`, and words that say what, where and what to do.
struct APIFailure: Error, Sendable {
    /// The kinds of failure; the raw value is the `errorType` of the Prometheus API.
    enum Kind: String, Sendable {
        case badData = "bad_data"
        case execution
        case canceled
        case timeout
        case `internal`
        case unavailable
        case notFound = "not_found"
        case unauthorized
        case forbidden
        case methodNotAllowed = "method_not_allowed"
        case tooLarge = "too_large"
        case overloaded = "too_many_requests"
        case requestTimeout = "request_timeout"
        case unsupportedMedia = "unsupported_media_type"

        /// The HTTP status, as Prometheus chooses it.
        var status: Int {
            switch self {
            case .badData: 400
            case .unauthorized: 401
            case .forbidden: 403
            case .notFound: 404
            case .methodNotAllowed: 405
            case .requestTimeout: 408
            case .tooLarge: 413
            case .unsupportedMedia: 415
            case .execution: 422
            case .overloaded: 429
            // nginx' "client closed request": nobody is left to read it.
            case .canceled: 499
            case .internal: 500
            case .timeout, .unavailable: 503
            }
        }
    }

    var kind: Kind
    var message: String
    var fields: [HTTPField]
    var retryAfterSeconds: Int?

    init(_ kind: Kind, _ message: String, fields: [HTTPField] = [], retryAfterSeconds: Int? = nil) {
        self.kind = kind
        self.message = message
        self.fields = fields
        self.retryAfterSeconds = retryAfterSeconds
    }

    /// A parameter that cannot be used, in Prometheus' words.
    static func invalid(_ parameter: String, _ reason: String) -> APIFailure {
        APIFailure(.badData, "invalid parameter \(QuotedText.quoted(parameter)): \(reason)")
    }

    /// What went wrong below, for the outside.
    init(describing error: any Error) {
        switch error {
        case let failure as APIFailure: self = failure
        case let error as QueryError: self = APIFailure(APIFailure.kind(of: error), error.description)
        case let interruption as QueryInterruption: self = APIFailure(interruption)
        case is CancellationError: self.init(.canceled, QueryInterruption.cancelled.description)
        case let refusal as EnrolmentRefusal: self = APIFailure(refusal)
        case let refusal as AppendRefusal: self = APIFailure(refusal)
        case let failure as ListenerBodyFailure: self = APIFailure(failure)
        case let error as RegularExpressionError: self.init(.badData, "\(error)")
        default: self.init(.internal, "\(error)")
        }
    }

    private static func kind(of error: QueryError) -> Kind {
        switch error.kind {
        case .parse, .parameters, .pipeline: .badData
        case .execution, .notSupported: .execution
        }
    }

    private init(_ interruption: QueryInterruption) {
        switch interruption {
        case .cancelled: self.init(.canceled, interruption.description)
        case .timedOut: self.init(.timeout, interruption.description)
        case .overBudget, .tooManySamples, .overProcessMemory: self.init(.execution, interruption.description)
        case .starting: self.init(.unavailable, interruption.description, retryAfterSeconds: 1)
        case .overSharedBudget: self.init(.unavailable, interruption.description, retryAfterSeconds: 2)
        }
    }

    private init(_ refusal: AppendRefusal) {
        switch refusal.kind {
        case .overloaded: self.init(.overloaded, refusal.reason, retryAfterSeconds: refusal.retryAfterSeconds ?? 1)
        case .unavailable: self.init(.unavailable, refusal.reason, retryAfterSeconds: refusal.retryAfterSeconds ?? 5)
        case .malformed: self.init(.badData, refusal.reason)
        }
    }

    private init(_ failure: ListenerBodyFailure) {
        switch failure {
        case .tooLarge: self.init(.tooLarge, failure.description)
        case .tooSlow: self.init(.requestTimeout, failure.description)
        case .disconnected: self.init(.canceled, failure.description)
        case .malformed: self.init(.badData, failure.description)
        }
    }

    private var allFields: [HTTPField] {
        retryAfterSeconds.map { fields + [HTTPField("Retry-After", String($0))] } ?? fields
    }

    /// The failure as the Prometheus API words it.
    var json: ListenerResponse {
        var writer = JSONWriter()
        writer.beginObject()
        writer.member("status", "error")
        writer.member("errorType", kind.rawValue)
        writer.member("error", message)
        writer.endObject()
        return .json(status: kind.status, writer.bytes, fields: allFields)
    }

    /// The failure as plain text, which is what Loki's clients show, with places in queries in Loki's words.
    var text: ListenerResponse { .text(kind.status, lokiMessage, fields: allFields) }

    /// `1:7: parse error: …` as `parse error at line 1, col 7: …`.
    private var lokiMessage: String {
        let parts = message.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
        let mark = " parse error: "
        guard parts.count == 3, let line = Int(parts[0]), let column = Int(parts[1]), parts[2].hasPrefix(mark) else {
            return message
        }
        return "parse error at line \(line), col \(column): \(parts[2].dropFirst(mark.count))"
    }
}

extension ListenerResponse {
    /// A JSON body.
    static func json(status: Int = 200, _ bytes: [UInt8], fields: [HTTPField] = []) -> ListenerResponse {
        let type = HTTPField("Content-Type", "application/json")
        return ListenerResponse(status: status, fields: fields + [type], body: .bytes(bytes))
    }
}
