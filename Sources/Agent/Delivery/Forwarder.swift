internal import Telemetry
internal import Wire

/// Carries batches from the spool to the server, each queue on its own, each lane in order, until its task is
/// cancelled.
struct Forwarder: Sendable {
    let spool: Spool
    let link: ServerLink
    let notices: Notices
    var word = ServerWord()

    /// Forwards all queues.
    func run() async {
        await withTaskGroup(of: Void.self) { group in
            for queue in DeliveryQueue.allCases { group.addTask { await forward(queue) } }
            group.addTask { await forwardDirect() }
        }
    }

    private func forward(_ queue: DeliveryQueue) async {
        // An event is worth a try every other second; the rest may wait longer.
        var backoff = Backoff(lastMilliseconds: queue == .events ? 2_000 : 8_000)
        var generator = SystemRandomNumberGenerator()
        while let entry = await spool.next(queue) {
            switch await deliver(entry, of: queue) {
            case .done:
                backoff.reset()
                word.set(nil)
                notices.settle("server")
            case .wait(let reason, let seconds):
                guard !Task.isCancelled else { return }
                spool.failed(queue)
                word.set(reason)
                notices.say(
                    .warning, about: "server",
                    "the server at \(link.endpoint) takes nothing (\(reason)); the spool keeps it until it does")
                let pause = backoff.next(atLeastSeconds: seconds, using: &generator)
                try? await Task.sleep(for: .milliseconds(pause))
            }
        }
    }

    /// Sends what the disk did not take. Every batch declares all that it uses, because none can be read back.
    private func forwardDirect() async {
        var backoff = Backoff(firstMilliseconds: 100, lastMilliseconds: 2_000)
        var generator = SystemRandomNumberGenerator()
        var encoder = AgentFrameEncoder()
        var sequences: [DeliveryIdentity.Lane: UInt64] = [:]
        while let item = await spool.direct.next() {
            let lane: DeliveryIdentity.Lane = item.queue == .events ? .event : .live
            encoder.beginSegment()
            let frames = encoder.encode(item.signal)
            let sequence = (sequences[lane] ?? 0) + 1
            let sender = DeliveryIdentity.Sender(agent: link.agent, epoch: spool.direct.epoch, lane: lane)
            let answer = await link.send(
                DeliveryIdentity(sender: sender, sequence: sequence),
                [frames.declarations, frames.data].filter { !$0.isEmpty })
            var seconds = 0
            switch answer {
            case .reply(let reply) where reply.verdict == .stored && reply.marks.synced >= sequence:
                sequences[lane] = sequence
                spool.direct.done(item, isStored: true)
                backoff.reset()
                continue
            case .reply(let reply) where reply.verdict == .refused:
                spool.direct.done(item, isStored: false)
                notices.say(
                    .error, about: "rejected \(reply.reason)",
                    "the server refused a batch of \(item.queue.folder) for good (\(reply.reason)); it is lost")
                continue
            case .reply(let reply): seconds = reply.retryAfterSeconds
            case .silence(_, let retryAfterSeconds): seconds = retryAfterSeconds
            }
            guard !Task.isCancelled else { return }
            let pause = backoff.next(atLeastSeconds: seconds, using: &generator)
            try? await Task.sleep(for: .milliseconds(pause))
        }
    }

    private enum Outcome {
        case done
        case wait(reason: String, seconds: Int)
    }

    /// Sends one batch, a second time with all declarations where the server asks for them.
    private func deliver(_ entry: Outbox.Entry, of queue: DeliveryQueue) async -> Outcome {
        do {
            guard let frames = try await spool.frames(of: entry, in: queue) else {
                spool.setAside(entry, in: queue, reason: "it is not in the spool any more")
                return .done
            }
            let small = [frames.declarations, frames.data].filter { !$0.isEmpty }
            var answer = await send(entry, small)
            if case .reply(let reply) = answer, reply.verdict == .redeclare {
                let declarations = try await spool.declarations(for: entry, in: queue)
                answer = await send(entry, declarations + [frames.data])
            }
            return settle(entry, of: queue, answer)
        } catch {
            return .wait(reason: "the spool could not be read: \(error)", seconds: 1)
        }
    }

    private func send(_ entry: Outbox.Entry, _ frames: [[UInt8]]) async -> ServerLink.Answer {
        let sender = DeliveryIdentity.Sender(agent: link.agent, epoch: entry.epoch, lane: entry.lane)
        return await link.send(DeliveryIdentity(sender: sender, sequence: entry.sequence), frames)
    }

    private func settle(_ entry: Outbox.Entry, of queue: DeliveryQueue, _ answer: ServerLink.Answer) -> Outcome {
        switch answer {
        case .silence(let reason, let seconds): return .wait(reason: reason, seconds: seconds)
        case .reply(let reply):
            switch reply.verdict {
            case .stored:
                guard reply.marks.synced >= entry.sequence else {
                    return .wait(
                        reason: "it says stored, but its mark \(reply.marks.synced) is below \(entry.sequence)",
                        seconds: 1)
                }
                if reply.rejected > 0 {
                    notices.say(
                        .warning, about: "rejections of \(queue.folder)",
                        "the server refused \(reply.rejected) items of a batch of \(queue.folder): \(reply.reason)")
                }
                spool.stored(entry, in: queue, reply.marks)
                return .done
            case .redeclare:
                // Everything that the spool has was declared just now: what is missing was lost with a damaged frame,
                // and waiting would keep all that is behind it for ever.
                spool.setAside(
                    entry, in: queue, reason: "what it declares was lost with a damaged part of the spool")
                return .done
            case .later: return .wait(reason: reply.reason, seconds: max(1, reply.retryAfterSeconds))
            case .refused:
                spool.setAside(entry, in: queue, reason: reply.reason)
                return .done
            }
        }
    }
}
