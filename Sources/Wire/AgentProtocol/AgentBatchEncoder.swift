package import Telemetry

/// Puts the header in front of frames: one request's body.
package enum AgentBatchEncoder {
    /// A body of `frames`, each as `AgentFrameEncoder` made them: declaration frames before the data that uses them,
    /// all data frames of one signal.
    package static func body(
        information: AgentInformation, delivery: DeliveryIdentity, frames: [[UInt8]]
    ) -> [UInt8] {
        var writer = ByteWriter(capacity: frames.reduce(160) { $0 + $1.count })
        writer.put(AgentProtocol.version)
        writer.putString(information.agent)
        writer.putString(information.node)
        writer.putString(information.version)
        writer.putFixed(information.sentNanoseconds)
        writer.putVarint(delivery.sender.epoch)
        writer.put(delivery.sender.lane.rawValue)
        writer.putVarint(delivery.sequence)
        for frame in frames { writer.put(frame) }
        return writer.bytes
    }

    /// A body of one batch, with whatever `encoder` has not declared yet.
    package static func body(of batch: AgentBatch, with encoder: inout AgentFrameEncoder) -> [UInt8] {
        let frames = encoder.encode(batch.signal)
        return body(
            information: batch.information, delivery: batch.delivery, frames: [frames.declarations, frames.data])
    }
}
