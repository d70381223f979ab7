/// Open files of the whole host and how many there may be: /proc/sys/fs/file-nr.
final class HostFileDescriptorCollector: Collector {
    private let context: CollectionContext
    private let file: KernelFile
    private let allocated: TargetSamples.Slot
    private let maximum: TargetSamples.Slot

    init?(_ context: CollectionContext, _ samples: TargetSamples) {
        guard let file = context.open("/proc/sys/fs/file-nr") else { return nil }
        self.context = context
        self.file = file
        allocated = samples.slot(.gauge("node_filefd_allocated", "File descriptor statistics: allocated."))
        maximum = samples.slot(.gauge("node_filefd_maximum", "File descriptor statistics: maximum."))
    }

    func collect(_ tick: Tick, into samples: TargetSamples) {
        _ = context.read(file) { bytes -> Bool? in
            var scanner = FieldScanner(bytes)
            guard let open = scanner.unsigned(), scanner.word() != nil, let limit = scanner.unsigned() else {
                return nil
            }
            samples.set(allocated, open)
            samples.set(maximum, limit)
            return true
        }
    }
}
