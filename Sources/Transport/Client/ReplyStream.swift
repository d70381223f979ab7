internal import Wire

/// The reply of `HTTPClient.open`: head at once, body piece by piece. Letting go of it closes the connection.
final class ReplyStream: HTTPStream {
    let status: Int
    let fields: [HTTPField]
    private let exchange: Exchange

    init(_ exchange: Exchange, head: ReplyHead) {
        self.exchange = exchange
        status = head.status
        fields = head.fields
    }

    deinit {
        exchange.fail(.cancelled, "the reply was let go of")
    }

    func next() async throws -> [UInt8]? { try await exchange.next() }
}
