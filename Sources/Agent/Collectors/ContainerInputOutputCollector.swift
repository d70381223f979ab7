/// Reads and writes of a container by device: blkio on v1, io.stat on v2, under cAdvisor's container_fs names.
final class ContainerInputOutputCollector: Collector {
    private static let metrics: [Metric] = [
        .counter("container_fs_reads_bytes_total", "Cumulative count of bytes read."),
        .counter("container_fs_writes_bytes_total", "Cumulative count of bytes written."),
        .counter("container_fs_reads_total", "Cumulative count of reads completed."),
        .counter("container_fs_writes_total", "Cumulative count of writes completed."),
    ]

    private enum Source {
        case legacy(bytes: KernelFile, operations: KernelFile?)
        case unified(KernelFile)
    }

    private let context: CollectionContext
    private let source: Source
    private var devices = SlotsByName<[TargetSamples.Slot]>(maximum: 32)
    private let names: DeviceNames

    init?(_ context: ContainerContext, _ samples: TargetSamples) {
        if let bytes = context.legacy(.blkio, "blkio.throttle.io_service_bytes_recursive")
            ?? context.legacy(.blkio, "blkio.throttle.io_service_bytes")
        {
            let operations =
                context.legacy(.blkio, "blkio.throttle.io_serviced_recursive")
                ?? context.legacy(.blkio, "blkio.throttle.io_serviced")
            source = .legacy(bytes: bytes, operations: operations)
        } else if let stat = context.unified("io.stat") {
            source = .unified(stat)
        } else {
            return nil
        }
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
                guard let device = scanner.word(), device.contains(UInt8(ascii: ":")), let kind = scanner.word(),
                    let value = scanner.unsigned()
                else { continue }
                let isRead = kind.elementsEqual("Read".utf8)
                guard isRead || kind.elementsEqual("Write".utf8), let slots = slots(device, samples) else { continue }
                samples.set(slots[firstSlot + (isRead ? 0 : 1)], value)
            } while scanner.nextLine()
            return true
        }
    }

    /// Lines are `8:0 rbytes=1 wbytes=2 rios=3 wios=4 …`.
    private func collectUnified(_ file: KernelFile, _ samples: TargetSamples) {
        _ = context.read(file) { bytes -> Bool? in
            var scanner = FieldScanner(bytes)
            repeat {
                guard let device = scanner.word(), let slots = slots(device, samples) else { continue }
                while let field = scanner.word() {
                    guard let equals = field.firstIndex(of: UInt8(ascii: "=")),
                        let value = FieldScanner.unsigned(UnsafeRawBufferPointer(rebasing: field[(equals + 1)...])),
                        let slot = Self.slot(of: UnsafeRawBufferPointer(rebasing: field[..<equals]))
                    else { continue }
                    samples.set(slots[slot], value)
                }
            } while scanner.nextLine()
            return true
        }
    }

    private static func slot(of key: UnsafeRawBufferPointer) -> Int? {
        if key.elementsEqual("rbytes".utf8) { return 0 }
        if key.elementsEqual("wbytes".utf8) { return 1 }
        if key.elementsEqual("rios".utf8) { return 2 }
        return key.elementsEqual("wios".utf8) ? 3 : nil
    }

    private func slots(_ device: UnsafeRawBufferPointer, _ samples: TargetSamples) -> [TargetSamples.Slot]? {
        devices.slots(for: device) { number in
            let name = names.name(ofNumber: number)
            return Self.metrics.map { samples.slot($0, ("device", name)) }
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
