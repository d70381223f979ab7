/// The registry: one file and one line here add a collector.
enum Collectors {
    /// What a collector is about, and how one is made. A maker returns nil where its sources are not there.
    enum Entry: Sendable {
        case host(@Sendable (CollectionContext, TargetSamples) -> (any Collector)?)
        case container(@Sendable (ContainerContext, TargetSamples) -> (any Collector)?)
    }

    /// All collectors, in the order they are read.
    static let all: [Entry] = [
        .host(HostCPUCollector.init),
        .host(HostMemoryCollector.init),
        .host(HostLoadCollector.init),
        .host(HostPagingCollector.init),
        .host(HostPressureCollector.init),
        .host(HostDiskCollector.init),
        .host(HostNetworkCollector.init),
        .host(HostFilesystemCollector.init),
        .host(HostIdentityCollector.init),
        .container(ContainerCPUCollector.init),
        .container(ContainerThrottlingCollector.init),
        .container(ContainerMemoryCollector.init),
        .container(ContainerTaskCollector.init),
        .container(ContainerPressureCollector.init),
        .container(ContainerInputOutputCollector.init),
        .container(ContainerNetworkCollector.init),
        .container(ContainerLifecycleCollector.init),
    ]
}
