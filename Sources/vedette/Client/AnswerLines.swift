internal import Transport
internal import Wire

/// An answer that is read line by line while it arrives.
struct AnswerLines {
    private let stream: any HTTPStream
    private var pending: [UInt8] = []
    private var start = 0
    private var searched = 0
    private var hasEnded = false

    init(_ stream: any HTTPStream) {
        self.stream = stream
    }

    /// The next line without its end, at once where it has arrived already; nil at the end of the answer.
    mutating func next() async throws -> ArraySlice<UInt8>? {
        while true {
            if let end = pending[searched...].firstIndex(of: 0x0a) {
                defer {
                    start = end + 1
                    searched = start
                }
                return pending[start..<end]
            }
            searched = pending.count
            if hasEnded {
                defer { start = pending.count }
                return start < pending.count ? pending[start...] : nil
            }
            if start > 0 {
                pending.removeFirst(start)
                searched -= start
                start = 0
            }
            if let piece = try await stream.next() { pending += piece } else { hasEnded = true }
        }
    }

    /// Whether a whole line has arrived already.
    var hasMore: Bool { pending[searched...].contains(0x0a) }
}

extension ServerClient {
    /// Sends a JSON body; any status but 2xx is a failure in the server's own words.
    func push(_ path: String, _ json: [UInt8], timeoutMilliseconds: Int64 = 30_000) async throws {
        var call = call(path, [], method: "POST", timeoutMilliseconds: timeoutMilliseconds)
        call.fields = call.fields.filter { $0.name != "Content-Type" } + [HTTPField("Content-Type", "application/json")]
        call.body = json
        let reply: HTTPReply
        do {
            reply = try await client.send(call)
        } catch let failure as HTTPFailure {
            throw unreachable(failure)
        }
        guard (200..<300).contains(reply.status) else { throw CommandFailure(words(of: reply)) }
    }

    /// Opens an answer that is read while it arrives; any status but 2xx is a failure in the server's own words.
    func open(
        _ path: String, _ parameters: [(String, String)], method: String = "GET",
        timeoutMilliseconds: Int64 = 150_000
    ) async throws -> AnswerLines {
        let call = call(path, parameters, method: method, timeoutMilliseconds: timeoutMilliseconds)
        let stream: any HTTPStream
        do {
            stream = try await client.open(call)
        } catch let failure as HTTPFailure {
            throw unreachable(failure)
        }
        guard (200..<300).contains(stream.status) else {
            var body: [UInt8] = []
            while body.count < 65_536, let piece = try? await stream.next() { body += piece }
            throw CommandFailure(
                words(of: HTTPReply(status: stream.status, fields: stream.fields, body: body), parameters),
                isFinal: (400..<500).contains(stream.status))
        }
        return AnswerLines(stream)
    }
}
