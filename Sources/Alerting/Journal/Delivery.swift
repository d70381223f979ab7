internal import Telemetry

/// A message and what became of it so far.
struct Delivery: Hashable, Sendable {
    /// More attempts are counted, not listed.
    static let attemptsMaximum = 20

    var message: OutboxMessage
    /// The last attempts.
    var attempts: [OutboxAttempt] = []
    var attemptsForgotten = 0
    /// Nil once it is done with.
    var nextAt: Int64?

    /// A message that was not tried yet.
    init(_ message: OutboxMessage) {
        self.message = message
        nextAt = message.createdAt
    }

    var isOpen: Bool { nextAt != nil }
    var attemptCount: Int { attempts.count + attemptsForgotten }

    /// Takes in what came of an attempt.
    mutating func apply(_ attempt: OutboxAttempt) {
        guard attempts.last != attempt else { return }
        attempts.append(attempt)
        if attempts.count > Delivery.attemptsMaximum {
            attempts.removeFirst()
            attemptsForgotten += 1
        }
        nextAt = attempt.outcome == .retry ? attempt.nextAt ?? attempt.at : nil
        if nextAt == nil { message.body = [] }
    }

    var state: DeliveryStatus.State {
        switch attempts.last?.outcome {
        case .accepted: .delivered
        case .refused, .expired: .dead
        case .superseded: .superseded
        case .retry, nil: .queued
        }
    }
}
