internal import Telemetry
internal import Wire

/// Gets the text of one target within its time and bounds: credentials, redirects, content negotiation.
struct ScrapeFetcher: Sendable {
    /// A whole answer, as it came.
    struct Answer: Sendable {
        var body: [UInt8]
        var coding: String?
        var dialect: ExpositionParser.Dialect

        var bytes: Int { body.count }
        var isCoded: Bool { coding.map { !$0.isEmpty && $0 != "identity" } ?? false }

        /// The body that was meant.
        func text(bytesMaximum: Int) throws(ScrapeFailure) -> [UInt8] {
            do throws(ContentCoding.Failure) {
                return try ContentCoding.decode(body, coding: coding, bytesMaximum: bytesMaximum)
            } catch {
                throw ScrapeFailure("\(error)")
            }
        }
    }

    /// Go's client gives up after ten, too.
    private static let redirectsMaximum = 10
    private static let accept = """
        application/openmetrics-text;version=1.0.0;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,\
        text/plain;version=0.0.4;q=0.4,*/*;q=0.2
        """

    let target: ScrapeTarget
    let job: ScrapeJob
    let http: any HTTPSending
    let budget: ScrapeBudget
    let readFile: @Sendable (String) async throws -> String

    /// The answer. It counts against the budget until its bytes are released.
    func fetch() async throws(ScrapeFailure) -> Answer {
        let timeout = target.timeoutMilliseconds
        let result = await withTaskGroup(of: Result<Answer, ScrapeFailure>?.self) { group in
            group.addTask {
                do throws(ScrapeFailure) {
                    return .success(try await exchange())
                } catch {
                    return .failure(error)
                }
            }
            group.addTask {
                do {
                    try await Task.sleep(for: .milliseconds(timeout))
                } catch {
                    return nil
                }
                return .failure(ScrapeFailure("no whole answer within \(Durations.prometheus(milliseconds: timeout))"))
            }
            let first = await group.next() ?? nil
            group.cancelAll()
            // A body that was whole in the same moment is let go again.
            while let late = await group.next() {
                if case .success(let answer)? = late { budget.release(answer.bytes) }
            }
            return first
        }
        guard let result else { throw ScrapeFailure("cancelled") }
        return try result.get()
    }

    private func exchange() async throws(ScrapeFailure) -> Answer {
        var endpoint = target.endpoint
        var path = target.path
        let authorization = try await authorization()
        for _ in 0...ScrapeFetcher.redirectsMaximum {
            // Credentials are for the host they were configured for.
            let isOwn = endpoint.connection == target.endpoint.connection
            let stream = try await open(endpoint, path, isOwn ? authorization : nil)
            let status = stream.status
            if [301, 302, 303, 307, 308].contains(status), job.followsRedirects,
                let location = stream.fields["location"]
            {
                (endpoint, path) = try ScrapeFetcher.resolve(location, at: endpoint)
                continue
            }
            guard status == 200 else { throw ScrapeFailure("server returned HTTP status \(status)") }
            let type = stream.fields["content-type"].flatMap { MediaType(parsing: $0)?.name }
            return Answer(
                body: try await collect(stream), coding: stream.fields["content-encoding"]?.lowercased(),
                dialect: type == "application/openmetrics-text" ? .openMetrics : .text)
        }
        throw ScrapeFailure("stopped after \(ScrapeFetcher.redirectsMaximum) redirects")
    }

    private func open(
        _ endpoint: HTTPEndpoint, _ path: String, _ authorization: String?
    ) async throws(ScrapeFailure) -> any HTTPStream {
        let seconds = FloatText.plain(Double(target.timeoutMilliseconds) / 1000)
        var fields = [
            HTTPField("Accept", ScrapeFetcher.accept), HTTPField("X-Prometheus-Scrape-Timeout-Seconds", seconds),
            HTTPField("Accept-Encoding", job.acceptsCompression ? "gzip" : "identity"),
        ]
        if let authorization { fields.append(HTTPField("Authorization", authorization)) }
        do {
            return try await http.open(
                HTTPCall(
                    "GET", endpoint, path, fields: fields, timeoutMilliseconds: target.timeoutMilliseconds,
                    replyBytesMaximum: job.limits.bodyBytes, tlsProfile: job.tls == nil ? nil : job.name))
        } catch {
            throw ScrapeFailure("\(error)")
        }
    }

    private func collect(_ stream: any HTTPStream) async throws(ScrapeFailure) -> [UInt8] {
        let maximum = job.limits.bodyBytes
        var body: [UInt8] = []
        func fail(_ words: String) -> ScrapeFailure {
            budget.release(body.count)
            return ScrapeFailure(words)
        }
        while true {
            let piece: [UInt8]?
            do {
                piece = try await stream.next()
            } catch {
                throw fail("\(error)")
            }
            guard let piece else { return body }
            guard body.count + piece.count <= maximum else {
                throw fail("body size limit exceeded: longer than \(ByteSizes.binary(Int64(maximum)))")
            }
            guard budget.take(piece.count) else {
                throw fail(
                    "the bodies of all scrapes under way are over \(ByteSizes.binary(Int64(ScrapeBudget.bytesMaximum)))"
                )
            }
            body += piece
        }
    }

    // MARK: - Credentials

    private func authorization() async throws(ScrapeFailure) -> String? {
        switch job.authorization {
        case nil: return nil
        case .basic(let user, let password):
            let pair = try await "\(secret(user)):\(secret(password))"
            return "Basic \(Base64.encode(Array(pair.utf8)))"
        case .scheme(let scheme, let credentials): return "\(scheme) \(try await secret(credentials))"
        }
    }

    private func secret(_ secret: ScrapeJob.Secret) async throws(ScrapeFailure) -> String {
        switch secret {
        case .text(let text): return text
        case .file(let path):
            do {
                return try await readFile(path)
            } catch {
                throw ScrapeFailure("the credentials cannot be read: \(error)")
            }
        }
    }

    private static func resolve(
        _ location: String, at endpoint: HTTPEndpoint
    ) throws(ScrapeFailure) -> (HTTPEndpoint, String) {
        if location.hasPrefix("/"), !location.hasPrefix("//") { return (endpoint, location) }
        guard let scheme = location.firstRange(of: "://"), location.hasPrefix("http") else {
            throw ScrapeFailure("redirected to \(QuotedText.quoted(location)), which is no address")
        }
        let authority = location[scheme.upperBound...].prefix { $0 != "/" && $0 != "?" && $0 != "#" }
        let path = String(location[authority.endIndex...].prefix { $0 != "#" })
        do {
            let other = try HTTPEndpoint.parse(String(location[..<authority.endIndex]))
            return (other, path.hasPrefix("/") ? path : "/" + path)
        } catch {
            throw ScrapeFailure("redirected to \(QuotedText.quoted(location)): \(error)")
        }
    }
}

/// Base64 as RFC 4648 has it, for `Basic` credentials.
enum Base64 {
    private static let digits = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

    /// The text that stands for `bytes`.
    static func encode(_ bytes: [UInt8]) -> String {
        var text: [UInt8] = []
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let group = bytes[start..<min(start + 3, bytes.count)]
            var bits: UInt32 = 0
            for offset in 0..<3 { bits = bits << 8 | UInt32(offset < group.count ? group[start + offset] : 0) }
            for place in 0..<4 {
                let digit = digits[Int(bits >> UInt32(18 - 6 * place)) & 63]
                text.append(place <= group.count ? digit : UInt8(ascii: "="))
            }
        }
        return String(decoding: text, as: UTF8.self)
    }
}
