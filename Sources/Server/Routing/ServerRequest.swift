internal import Telemetry
internal import Transport
internal import Wire

/// A request that has found its route and its principal.
struct ServerRequest: Sendable {
    let listener: ListenerRequest
    /// What stands in the pattern's places, by name.
    let captures: [String: String]
    let principal: Principal

    /// Who asks, for sharing fairly: the principal at its address, whichever connection it uses.
    var client: String {
        let address = listener.remoteAddress
        return "\(principal.name) \(address.prefix(upTo: address.lastIndex(of: ":") ?? address.endIndex))"
    }

    /// A form longer than this is no query.
    static let formBytesMaximum = 4 << 20

    /// What stands in the pattern's place `name`.
    func capture(_ name: String) -> String { captures[name] ?? "" }

    /// The parameters of the form body, where there is one, and of the query string.
    func parameters() async throws -> RequestParameters {
        do {
            var query = try QueryString.split(target: listener.target).query
            if listener.method == "POST", isForm {
                let body = try await listener.body.collect(upTo: ServerRequest.formBytesMaximum)
                query.items = try QueryString(form: body).items + query.items
            }
            return RequestParameters(query)
        } catch let malformed as QueryString.Malformed {
            throw APIFailure(.badData, malformed.description)
        }
    }

    private var isForm: Bool {
        listener.fields["content-type"].flatMap { MediaType(parsing: $0)?.name } == "application/x-www-form-urlencoded"
    }

    /// The whole body, its coding undone.
    func body(upTo bytesMaximum: Int) async throws -> [UInt8] {
        let body = try await listener.body.collect(upTo: bytesMaximum)
        do {
            return try ContentCoding.decode(
                body, coding: listener.fields["content-encoding"], bytesMaximum: bytesMaximum)
        } catch {
            switch error {
            case .unsupported: throw APIFailure(.unsupportedMedia, error.description)
            case .tooLarge: throw APIFailure(.tooLarge, error.description)
            case .damaged: throw APIFailure(.badData, error.description)
            }
        }
    }

    /// The whole body of a sender that writes Snappy blocks, whether it says so or not; other codings are 415.
    func snappyBody(upTo bytesMaximum: Int) async throws -> [UInt8] {
        let coding = (listener.fields["content-encoding"] ?? "snappy").lowercased()
        guard coding == "snappy" else {
            throw APIFailure(.unsupportedMedia, "Content-Encoding \(coding) is not taken here; use snappy")
        }
        let body = try await listener.body.collect(upTo: bytesMaximum)
        do throws(CompressionError) {
            return try Compression.snappy.decompress(body, bytesMaximum: bytesMaximum)
        } catch {
            throw APIFailure(error.kind == .tooLarge ? .tooLarge : .badData, "body: \(error.reason)")
        }
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
