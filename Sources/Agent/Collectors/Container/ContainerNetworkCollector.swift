/// Network traffic of a container by interface, read through its main process; once per network namespace.
final class ContainerNetworkCollector: Collector {
    private static let metrics: [Metric] = [
        .counter("container_network_receive_bytes_total", "Cumulative count of bytes received."),
        .counter("container_network_receive_packets_total", "Cumulative count of packets received."),
        .counter("container_network_receive_errors_total", "Cumulative count of errors encountered while receiving."),
        .counter("container_network_receive_packets_dropped_total", "Cumulative count of packets dropped on receipt."),
        .counter("container_network_transmit_bytes_total", "Cumulative count of bytes transmitted."),
        .counter("container_network_transmit_packets_total", "Cumulative count of packets transmitted."),
        .counter("container_network_transmit_errors_total", "Cumulative count of errors while transmitting."),
        .counter(
            "container_network_transmit_packets_dropped_total", "Cumulative count of packets dropped on transmission."),
    ]

    private let context: ContainerContext
    /// The process whose network is read, its table, and its namespace; nil where the kernel does not tell, then the
    /// engine's word is taken.
    private var process: Int32 = 0
    private var table: KernelFile?
    private var namespace: String?
    private var look = Rhythm(every: ContainerTarget.idleEvery)
    private var interfaces = SlotsByName<[TargetSamples.Slot]>(maximum: 32)

    init?(_ context: ContainerContext, _ samples: TargetSamples) {
        guard context.group != nil else { return nil }
        self.context = context
    }

    deinit { release() }

    func collect(_ tick: Tick, into samples: TargetSamples) {
        // A runtime puts a process into the group first, and gives it a network a moment later.
        if look.isDue(at: tick.number) { find() }
        guard let table else { return }
        if let namespace {
            let isOwn = context.collection.networks.claims(
                namespace, container: context.container.id, isSandbox: context.container.isSandbox)
            guard isOwn else { return }
        } else if !context.container.hasOwnNetwork {
            return
        }
        NetworkTable.read(table, context.collection) { name, columns in
            guard !NetworkTable.isIgnoredInContainers(name) else { return }
            let slots = interfaces.slots(for: name) { text in
                Self.metrics.map { samples.slot($0, ("interface", text)) }
            }
            guard let slots else { return }
            for (slot, column) in zip(slots, [0, 1, 2, 3, 8, 9, 10, 11]) { samples.set(slot, columns[column]) }
        }
    }

    private func find() {
        let current = context.mainProcess
        let space = current > 0 ? context.collection.networks.namespace(of: current) : nil
        guard current != process || space != namespace || table == nil else { return }
        release()
        (process, namespace) = (current, space)
        table = current > 0 ? context.collection.open("/proc/\(current)/net/dev") : nil
    }

    private func release() {
        if let namespace {
            context.collection.networks.release(namespace, container: context.container.id)
        }
    }
}

/// Reads /proc/net/dev: eight columns received, eight transmitted.
enum NetworkTable {
    /// Calls `body` with each interface's name and its sixteen columns.
    static func read(
        _ file: KernelFile, _ context: CollectionContext,
        _ body: (UnsafeRawBufferPointer, borrowing InlineArray<16, UInt64>) -> Void
    ) {
        _ = context.readRecords(file) { bytes -> Bool? in
            var scanner = FieldScanner(bytes)
            repeat {
                // "eth0:" or, in old kernels, "eth0:123" without a space.
                guard let first = scanner.word(), let colon = first.firstIndex(of: UInt8(ascii: ":")) else { continue }
                var columns = InlineArray<16, UInt64>(repeating: 0)
                var count = 0
                let rest = UnsafeRawBufferPointer(rebasing: first[(colon + 1)...])
                if let value = FieldScanner.unsigned(rest) {
                    columns[0] = value
                    count = 1
                }
                while count < 16, let value = scanner.unsigned() {
                    columns[count] = value
                    count += 1
                }
                if count == 16 { body(UnsafeRawBufferPointer(rebasing: first[..<colon]), columns) }
            } while scanner.nextLine()
            return true
        }
    }

    /// The interfaces cAdvisor leaves out.
    static func isIgnoredInContainers(_ name: UnsafeRawBufferPointer) -> Bool {
        name.elementsEqual("lo".utf8) || name.starts(with: "veth".utf8) || name.starts(with: "docker".utf8)
            || name.starts(with: "nerdctl".utf8)
    }
}
