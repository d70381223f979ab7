/// Reads and writes of a container by device: blkio on v1, io.stat on v2, under cAdvisor's names.
final class ContainerInputOutputCollector: Collector {
    private static let metrics: [Metric] = [
        .counter("container_fs_reads_bytes_total", "Cumulative count of bytes read."),
        .counter("container_fs_writes_bytes_total", "Cumulative count of bytes written."),
        .counter("container_fs_reads_total", "Cumulative count of reads completed."),
        .counter("container_fs_writes_total", "Cumulative count of writes completed."),
    ]
    private static let device = Metric.counter("container_blkio_device_usage_total", "Blkio Device bytes usage.")
    /// What iocost says of a device, in µs, by the key of io.stat.
    private static let costs: [(key: String, name: String, help: String)] = [
        ("cost.usage", "usage", "usage"), ("cost.wait", "wait", "wait"), ("cost.indebt", "indebt", "debt"),
        ("cost.indelay", "indelay", "delay"),
    ]

    /// The series of one device; those of an operation or a key are declared when the kernel first prints it.
    private final class Device {
        let name: String
        let number: (major: String, minor: String)
        let slots: [TargetSamples.Slot]
        var operations = SlotsByName<TargetSamples.Slot>(maximum: 8)
        var costs: [TargetSamples.Slot?] = Array(
            repeating: nil, count: ContainerInputOutputCollector.costs.count)

        init(name: String, number: (major: String, minor: String), slots: [TargetSamples.Slot]) {
            self.name = name
            self.number = number
            self.slots = slots
        }
    }

    private enum Source {
        case legacy(bytes: KernelFile, operations: KernelFile?)
        case unified(KernelFile)
    }

    private let context: CollectionContext
    private let source: Source
    private var devices = SlotsByName<Device>(maximum: 32)
    private let names: DeviceNames

    init?(_ context: ContainerContext, _ samples: TargetSamples) {
        // The throttling layer counts whatever the scheduler is; the schedulers' own files are for kernels without it.
        let legacy = ["throttle.", "", "bfq."].lazy.compactMap { prefix -> Source? in
            for suffix in ["_recursive", ""] {
                guard let bytes = context.legacy(.blkio, "blkio.\(prefix)io_service_bytes\(suffix)") else { continue }
                return .legacy(
                    bytes: bytes, operations: context.legacy(.blkio, "blkio.\(prefix)io_serviced\(suffix)"))
            }
            return nil
        }.first
        guard let source = legacy ?? context.unified("io.stat").map({ .unified($0) }) else { return nil }
        self.source = source
        self.context = context.collection
        names = DeviceNames(host: context.collection.host)
    }

    func collect(_ tick: Tick, into samples: TargetSamples) {
        switch source {
        case .legacy(let bytes, let operations):
            collectLegacy(bytes, firstSlot: 0, samples)
            if let operations { collectLegacy(operations, firstSlot: 2, samples) }
        case .unified(let stat): collectUnified(stat, samples)
        }
    }

    /// Lines are `8:0 Read 4096`; the last one is a total without a device.
    private func collectLegacy(_ file: KernelFile, firstSlot: Int, _ samples: TargetSamples) {
        _ = context.read(file) { bytes -> Bool? in
            var scanner = FieldScanner(bytes)
            repeat {
                guard let number = scanner.word(), number.contains(UInt8(ascii: ":")), let kind = scanner.word(),
                    let value = scanner.unsigned(), let device = device(number, samples)
                else { continue }
                if firstSlot == 0, let slot = operation(kind, device, samples) { samples.set(slot, value) }
                if kind.elementsEqual("Read".utf8) {
                    samples.set(device.slots[firstSlot], value)
                } else if kind.elementsEqual("Write".utf8) {
                    samples.set(device.slots[firstSlot + 1], value)
                }
            } while scanner.nextLine()
            return true
        }
    }

    /// Lines are `8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6 …`.
    private func collectUnified(_ file: KernelFile, _ samples: TargetSamples) {
        _ = context.read(file) { bytes -> Bool? in
            var scanner = FieldScanner(bytes)
            repeat {
                guard let number = scanner.word(), let device = device(number, samples) else { continue }
                while let field = scanner.word() {
                    guard let equals = field.firstIndex(of: UInt8(ascii: "=")),
                        let value = FieldScanner.unsigned(UnsafeRawBufferPointer(rebasing: field[(equals + 1)...]))
                    else { continue }
                    set(UnsafeRawBufferPointer(rebasing: field[..<equals]), value, device, samples)
                }
            } while scanner.nextLine()
            return true
        }
    }

    private func set(_ key: UnsafeRawBufferPointer, _ value: UInt64, _ device: Device, _ samples: TargetSamples) {
        if key.starts(with: "cost.".utf8) {
            guard let index = Self.costs.firstIndex(where: { key.elementsEqual($0.key.utf8) }) else { return }
            let cost = Self.costs[index]
            let metric = Metric.counter(
                "container_fs_io_cost_\(cost.name)_seconds_total", "Cumulative IOCost \(cost.help) in seconds.")
            let slot = device.costs[index] ?? samples.slot(metric, ("device", device.name))
            device.costs[index] = slot
            return samples.set(slot, Double(value) / 1e6)
        }
        if key.elementsEqual("rbytes".utf8) {
            samples.set(device.slots[0], value)
            setOperation("Read", value, device, samples)
        } else if key.elementsEqual("wbytes".utf8) {
            samples.set(device.slots[1], value)
            setOperation("Write", value, device, samples)
        } else if key.elementsEqual("rios".utf8) {
            samples.set(device.slots[2], value)
        } else if key.elementsEqual("wios".utf8) {
            samples.set(device.slots[3], value)
        } else if key.elementsEqual("dbytes".utf8) {
            setOperation("Discard", value, device, samples)
        }
    }

    private func setOperation(_ name: StaticString, _ value: UInt64, _ device: Device, _ samples: TargetSamples) {
        let bytes = UnsafeRawBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount)
        if let slot = operation(bytes, device, samples) { samples.set(slot, value) }
    }

    private func operation(
        _ kind: UnsafeRawBufferPointer, _ device: Device, _ samples: TargetSamples
    ) -> TargetSamples.Slot? {
        device.operations.slots(for: kind) { text in
            samples.slot(
                Self.device, ("device", device.name), ("major", device.number.major), ("minor", device.number.minor),
                ("operation", text))
        }
    }

    private func device(_ number: UnsafeRawBufferPointer, _ samples: TargetSamples) -> Device? {
        devices.slots(for: number) { number in
            let name = names.name(ofNumber: number)
            let parts = number.split(separator: ":").map(String.init)
            return Device(
                name: name, number: (parts.first ?? "", parts.count > 1 ? parts[1] : ""),
                slots: Self.metrics.map { samples.slot($0, ("device", name)) })
        }
    }
}

/// Names of block devices by their numbers, from /sys/dev/block.
struct DeviceNames {
    let host: HostRoot

    /// `/dev/sda` for `8:0`, or the number where the host does not tell.
    func name(ofNumber number: String) -> String {
        let event = host.text("/sys/dev/block/\(number)/uevent", limit: 64 << 10) ?? ""
        for line in event.split(separator: "\n") where line.hasPrefix("DEVNAME=") {
            return "/dev/\(line.dropFirst("DEVNAME=".count))"
        }
        return number
    }
}
