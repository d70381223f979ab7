internal import Disk
internal import Synchronization
internal import Telemetry
internal import Transport
internal import Wire

/// The enrolment that the running agent uses, and whether it holds.
final class CurrentEnrolment: Sendable {
    private let state: Mutex<NodeEnrolment>

    init(_ enrolment: NodeEnrolment) {
        state = Mutex(enrolment)
    }

    /// As it is now.
    var value: NodeEnrolment { state.withLock { $0 } }

    func set(_ enrolment: NodeEnrolment) { state.withLock { $0 = enrolment } }
}

/// Gets the next certificate when two thirds of the present one have passed, while batches go on: those under way end
/// on the connections they are on, later ones use the new certificate.
struct CertificateRenewal: Sendable {
    /// What it works with.
    struct Setting: Sendable {
        var folder: String
        var storage: any FileStorage
        var http: any HTTPSending
        var wallClock: any WallClock
        var notices: Notices
        /// Makes the sender use the new certificate.
        var adopt: @Sendable (TLSProfile) -> Void
        /// Runs what touches files.
        var onDisk: @Sendable (@escaping @Sendable () throws -> CertificateKey?) async throws -> CertificateKey?
    }

    let current: CurrentEnrolment
    let setting: Setting

    /// How often it looks: a wall clock may jump, so it is asked and not waited for.
    private static let lookMilliseconds = 30_000
    private static let subject = "certificate"

    /// Looks again and again, until its task is cancelled.
    func run() async {
        var backoff = Backoff(firstMilliseconds: 2_000, lastMilliseconds: 300_000)
        var generator = SystemRandomNumberGenerator()
        while !Task.isCancelled {
            var pause = CertificateRenewal.lookMilliseconds
            if isDue {
                do {
                    try await renew()
                    backoff.reset()
                } catch {
                    guard !Task.isCancelled else { return }
                    tell(error)
                    pause = backoff.next(using: &generator)
                }
            }
            try? await Task.sleep(for: .milliseconds(pause))
        }
    }

    /// Whether the present certificate is to be replaced.
    var isDue: Bool { setting.wallClock.nowNanoseconds >= current.value.standing.validity.renewalNanoseconds }

    /// Gets the next certificate and uses it. Throws when there is none: the present one stays.
    func renew() async throws {
        let (before, setting) = (current.value, setting)
        let pending = try await setting.onDisk { try PendingKey.take(folder: setting.folder, in: setting.storage) }
        guard let key = pending else { return }
        var writer = JSONWriter()
        writer.beginObject()
        writer.member("request", String(decoding: try key.request(name: before.agent), as: UTF8.self))
        writer.endObject()
        let call = HTTPCall(
            "POST", before.server, "/agent/v1/certificate", fields: [HTTPField("Content-Type", "application/json")],
            body: writer.bytes, replyBytesMaximum: 1 << 20, tlsProfile: NodeAgent.enrolledProfile)
        let answer = try await Enroller.ask(setting.http, call)
        let next = try Enroller.enrolment(answer, server: before.server, agent: before.agent, key: key)
        // On disk before it is used: from its first use on the server may forget the one before.
        _ = try await setting.onDisk {
            try next.store(folder: setting.folder, in: setting.storage)
            PendingKey.settle(folder: setting.folder, in: setting.storage)
            return nil
        }
        current.set(next)
        setting.adopt(next.profile)
        setting.notices.settle(CertificateRenewal.subject)
        let end = Timestamps.rfc3339(nanoseconds: next.standing.validity.endNanoseconds)
        setting.notices.deliver(AgentNotice(.information, "the agent's certificate was renewed; it holds until \(end)"))
    }

    private func tell(_ error: any Error) {
        let validity = current.value.standing.validity
        let left = validity.endNanoseconds - setting.wallClock.nowNanoseconds
        let isUrgent = left < (validity.endNanoseconds - validity.startNanoseconds) / 6
        let end = Timestamps.rfc3339(nanoseconds: validity.endNanoseconds)
        setting.notices.say(
            isUrgent ? .error : .warning, about: CertificateRenewal.subject,
            "the agent's certificate ends at \(end) and cannot be renewed (\(error)); it is tried again")
    }
}
