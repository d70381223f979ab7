internal import Telemetry
internal import Wire

/// One way to tell people, as one integration of a receiver is configured: gives messages their form, knows where they
/// go, and judges what the other side answers. The body decides, not the status alone: chat gateways answer 200 with an
/// error inside.
protocol Receiver: Sendable {
    /// For example `webhook[0]`: unique within its receiver.
    var integration: String { get }
    /// Whether it tells of resolved alerts too.
    var sendsResolved: Bool { get }
    /// What the provider stands.
    var limits: DeliveryLimits { get }
    /// The message as it goes over the wire, the same for every attempt.
    func content(of notification: Notification) -> MessageContent
    /// The call that carries a message.
    func call(_ message: OutboxMessage) -> HTTPCall
    /// Whether the provider took it.
    func verdict(_ reply: HTTPReply) -> DeliveryVerdict
}

/// A message's bytes.
struct MessageContent: Hashable, Sendable {
    var contentType: String
    var body: [UInt8]
}

/// How much a provider stands, and how long a message is worth trying.
struct DeliveryLimits: Hashable, Sendable {
    /// Messages at once.
    var burst: Double
    /// Messages per second over time.
    var perSecond: Double
    /// Older messages are given up.
    var ageMaximumMilliseconds: Int64
}

/// What came of one attempt to deliver.
enum DeliveryVerdict: Hashable, Sendable {
    case accepted
    /// To be tried again, not before the given time where the provider named one.
    case retry(reason: String, afterMilliseconds: Int64?)
    /// The provider will never take this message.
    case refused(reason: String)
}

/// A kind of receiver: its key in the configuration, and its reader.
struct ReceiverKind: Sendable {
    /// For example `webhook_configs`.
    let key: String
    /// For example `webhook`.
    let name: String
    let read: @Sendable (_ value: YAMLValue, _ integration: String) throws(ConfigurationError) -> any Receiver
}

/// All kinds of receivers. A new one is a file and a line here.
enum Receivers {
    static let all: [ReceiverKind] = [
        ReceiverKind(key: "webhook_configs", name: "webhook") { (value, integration) throws(ConfigurationError) in
            try WebhookReceiver(value, integration: integration)
        }
    ]
}
