package import Telemetry

/// The numbers of the agent protocol, version 1: docs/formats/agent-protocol.md.
package enum AgentProtocol {
    /// The first byte of every message.
    package static let version: UInt8 = 1
    /// The media type of every message's body.
    package static let mediaType = "application/vnd.vedette.agent.v1"
    /// A longer body is refused before it is read.
    package static let bodyBytesMaximum = 16 << 20
    /// A frame's payload restored from LZ4 is not longer.
    package static let payloadBytesMaximum = 16 << 20
    /// The most frames of one body.
    package static let framesMaximum = 4096
    /// The most samples, lines or events of one batch, and the most label sets of one declaration frame.
    package static let itemsMaximum = 1 << 20
    /// The longest label set.
    package static let labelBytesMaximum = 64 << 10
    /// The longest name, reason or other short text.
    package static let textBytesMaximum = 4096
    /// The most commands or reports of one message.
    package static let commandsMaximum = 1024

    /// What a frame carries. A new layout gets a new number, so that a spool written by an older agent stays readable.
    enum FrameKind: UInt8 {
        case declarations = 1
        case samples = 2
        case lines = 3
        case events = 4
    }
}

/// Why a message was not taken.
package enum AgentProtocolError: Error, Equatable, CustomStringConvertible {
    /// The sender speaks a version this side does not read.
    case version(UInt8)
    /// The batch uses an id that nobody declared here: the answer is `redeclare`.
    case undeclared(id: UInt64)
    /// The bytes cannot be right: where, and what was expected. Do not send them again.
    case malformed(ByteError)

    /// The error of a message whose reading ended with `error`.
    init(_ error: ByteError, in message: UnsafeRawBufferPointer) {
        if error.reason == AgentProtocolError.versionReason, let version = message.first {
            self = .version(version)
        } else {
            self = .malformed(error)
        }
    }

    static let versionReason = "unknown version"

    package var description: String {
        switch self {
        case .version(let version):
            "agent protocol version \(version) is not known here, only \(AgentProtocol.version); "
                + "upgrade the side that is behind"
        case .undeclared(let id): "label set \(id) was not declared; send the batch again with its declarations"
        case .malformed(let error): "malformed agent message: \(error)"
        }
    }
}
