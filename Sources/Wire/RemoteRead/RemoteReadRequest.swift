package import Telemetry

/// Why a remote-read request cannot be answered. The status is 400.
package struct RemoteReadError: Error, Equatable, CustomStringConvertible {
    package let description: String
}

/// One query of a remote-read request: the series that satisfy the matchers, within a range.
package struct RemoteReadQuery: Sendable {
    package var matchers: [LabelMatcher]
    package var range: TimeRange
}

/// What a client asks for.
package struct RemoteReadDemand: Sendable {
    package var queries: [RemoteReadQuery]
    /// Whether the answer is a stream of chunks rather than one message of samples.
    package var isStreamed: Bool
}

/// Reads `prometheus.ReadRequest` (prompb/remote.proto of Prometheus), the body of `POST /api/v1/read` without its
/// compression.
package enum RemoteReadRequest {
    /// The kinds of answers a client takes, as it numbers them.
    private static let samples: UInt64 = 0
    private static let streamedChunks: UInt64 = 1
    private static let queriesMaximum = 1_000
    private static let matchersMaximum = 1_000

    /// What a request asks for. Of the kinds of answers that its client takes, the first that there is here.
    package static func read(_ body: [UInt8]) throws(RemoteReadError) -> RemoteReadDemand {
        var queries: [RemoteReadQuery] = []
        var accepted: [UInt64] = []
        let failure = body.withUnsafeBytes { raw -> RemoteReadError? in
            do {
                try read(raw, &queries, &accepted)
                return nil
            } catch let error as RemoteReadError {
                return error
            } catch {
                return RemoteReadError(description: "the body is no ReadRequest: \(error)")
            }
        }
        if let failure { throw failure }
        guard let kind = accepted.isEmpty ? samples : accepted.first(where: { $0 <= streamedChunks }) else {
            throw RemoteReadError(
                description: "none of the accepted_response_types is known here; name SAMPLES or STREAMED_XOR_CHUNKS")
        }
        return RemoteReadDemand(queries: queries, isStreamed: kind == streamedChunks)
    }

    private static func read(
        _ body: UnsafeRawBufferPointer, _ queries: inout [RemoteReadQuery], _ accepted: inout [UInt64]
    ) throws {
        var message = ProtobufReader(body)
        while let (number, type) = try message.next() {
            switch (number, type) {
            case (1, _):
                queries.append(try query(try message.bytes(type)))
                guard queries.count <= queriesMaximum else {
                    throw RemoteReadError(description: "more than \(queriesMaximum) queries in one request")
                }
            case (2, .bytes):
                var packed = ByteReader(try message.bytes(type))
                while !packed.isAtEnd { accepted.append(try packed.varint()) }
            case (2, _): accepted.append(try message.integer(type))
            default: try message.skip(type)
            }
        }
    }

    private static func query(_ bytes: UnsafeRawBufferPointer) throws -> RemoteReadQuery {
        var query = RemoteReadQuery(matchers: [], range: TimeRange(startMilliseconds: 0, endMilliseconds: 0))
        var message = ProtobufReader(bytes)
        while let (number, type) = try message.next() {
            switch number {
            case 1: query.range.startMilliseconds = Int64(bitPattern: try message.integer(type))
            case 2: query.range.endMilliseconds = Int64(bitPattern: try message.integer(type))
            case 3:
                query.matchers.append(try matcher(try message.bytes(type)))
                guard query.matchers.count <= matchersMaximum else {
                    throw RemoteReadError(description: "more than \(matchersMaximum) matchers in one query")
                }
            // Hints of what the client does with the samples.
            default: try message.skip(type)
            }
        }
        return query
    }

    private static func matcher(_ bytes: UnsafeRawBufferPointer) throws -> LabelMatcher {
        var (kind, name, value) = (UInt64(0), "", "")
        var message = ProtobufReader(bytes)
        while let (number, type) = try message.next() {
            switch number {
            case 1: kind = try message.integer(type)
            case 2: name = String(decoding: try message.bytes(type), as: UTF8.self)
            case 3: value = String(decoding: try message.bytes(type), as: UTF8.self)
            default: try message.skip(type)
            }
        }
        let operation: LabelMatcher.Operation
        switch kind {
        case 0: operation = .equal
        case 1: operation = .notEqual
        case 2: operation = .matchesRegex
        case 3: operation = .notMatchesRegex
        default: throw RemoteReadError(description: "a matcher of the type \(kind), which there is none of")
        }
        do {
            return try LabelMatcher(name, operation, value)
        } catch {
            throw RemoteReadError(description: "the matcher of \(name): \(error)")
        }
    }
}
