internal import Disk
internal import Glibc
internal import Telemetry
internal import Transport

/// How an agent tells how it is.
extension NodeAgent {
    /// Writes down how the agent is, and says at the start and whenever it changes what it cannot see.
    func statusReport(_ session: AgentSession, _ disk: DiskWork) -> @Sendable (AgentStatistics) -> Void {
        let (options, ports, notices, registry, cluster) = (options, ports, notices, registry, cluster)
        let (enrolment, word) = (enrolment, serverWord)
        let path = "\(options.dataFolder)/\(AgentStatusFile.name)"
        let started = ports.wallClock.nowMilliseconds
        let layout = CgroupLayout(of: session.host)
        let blindSpots = BlindSpots(
            host: session.host, layout: layout, engineSocket: options.engineSocket)
        return { statistics in
            let now = ports.wallClock.nowNanoseconds
            var status = AgentStatusFile()
            status.version = options.version
            (status.agent, status.node) = (session.agent, session.node)
            status.server = "\(options.server)"
            status.processIdentifier = Int64(getpid())
            (status.startedMilliseconds, status.writtenMilliseconds) = (started, now / 1_000_000)
            status.cgroups = layout.summary
            status.isEngineAnswering = registry.isEngineAnswering(atNanoseconds: ports.monotonicClock.nowNanoseconds)
            (status.certificate, status.isCertificateRefused) =
                enrolment?.value.standing.words(word, atNanoseconds: now) ?? ("", false)
            status.serverTrouble = word.trouble ?? ""
            status.kubernetes = cluster?.summary ?? ""
            for container in registry.snapshot.containers.values where container.isRunning {
                status.found[container.runtime.rawValue, default: 0] += 1
            }
            status.take(statistics, atNanoseconds: now)
            disk.submit { [status] in
                var status = status
                let spots = blindSpots.find()
                status.blindSpots = spots.map { ($0.what, $0.reason, $0.remedy) }
                notices.say(
                    spots.isEmpty ? .information : .warning, about: "blind spots",
                    spots.isEmpty
                        ? "everything that can be seen is seen"
                        : "not seen on this host: \(spots.map(\.sentence).joined(separator: "; "))")
                do {
                    try AtomicFile.write(status.encoded, to: path, in: ports.storage)
                    notices.settle(path)
                } catch {
                    notices.say(.warning, about: path, "\(path) cannot be written (\(error)): the status is an old one")
                }
            }
        }
    }
}

extension PeerCertificate {
    /// How it stands with the agent's certificate, for people, and whether nothing is taken from the agent because of
    /// it.
    fileprivate func words(_ word: ServerWord, atNanoseconds now: Int64) -> (text: String, isRefused: Bool) {
        let end = Timestamps.rfc3339(nanoseconds: validity.endNanoseconds)
        if word.isRevocation { return ("revoked: \(word.trouble ?? "")", true) }
        if now > validity.endNanoseconds {
            return ("expired at \(end): enroll again with a new token (vedette enroll), the spool is kept", true)
        }
        if let refusal = validity.refusal(at: now) { return ("not valid: \(refusal)", true) }
        return ("holds until \(end)", false)
    }
}

extension AgentStatusFile {
    /// Takes over the agent's own numbers.
    mutating func take(_ statistics: AgentStatistics, atNanoseconds now: Int64) {
        intervalSeconds = statistics.intervalSeconds
        step = statistics.step
        samplesPerReading = statistics.samples
        readingSeconds = statistics.collectionSeconds
        logLines = statistics.tail.lines
        logBytes = statistics.tail.bytes
        let spool = statistics.spool
        queues = DeliveryQueue.allCases.map { queue in
            Queue(
                name: queue.folder, batches: spool.pendingBatches[queue.rawValue],
                bytes: spool.bytesOnDisk[queue.rawValue],
                oldestSeconds: spool.oldestNanoseconds[queue.rawValue].map { max(0, Double(now - $0) / 1e9) })
        }
        sentBatches = spool.sentBatches
        dropped = [
            "batches the disk did not take": spool.droppedBatches, "batches refused for good": spool.refusedBatches,
            "batches given up by a full spool": spool.givenUpBatches,
            "lines given up by a full spool": spool.givenUpLines,
            "times that log lines were lost": statistics.tail.losses,
        ]
        (cpuSeconds, residentBytes) = (statistics.cpuSeconds, statistics.residentBytes)
    }
}
