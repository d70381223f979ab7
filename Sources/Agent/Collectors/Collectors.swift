/// The registry: one file and one line here add a collector.
enum Collectors {
    /// What a collector is about, how often it reads, and how one is made. A maker returns nil where its sources are
    /// not there.
    enum Entry: Sendable {
        /// Reads the host at each tick.
        case host(@Sendable (CollectionContext, TargetSamples) -> (any Collector)?)
        /// Reads the host once in fifteen intervals.
        case slowHost(@Sendable (CollectionContext, TargetSamples) -> (any Collector)?)
        /// Reads a container at each tick, or at every fifth one while it is idle.
        case container(@Sendable (ContainerContext, TargetSamples) -> (any Collector)?)
        /// Reads a container once in fifteen intervals.
        case slowContainer(@Sendable (ContainerContext, TargetSamples) -> (any Collector)?)
        /// Reads a group above containers once in fifteen intervals.
        case parent(@Sendable (ContainerContext, TargetSamples) -> (any Collector)?)
    }

    /// All collectors, in the order they are read.
    static let all: [Entry] = [
        .host(HostCPUCollector.init),
        .host(HostMemoryCollector.init),
        .host(HostLoadCollector.init),
        .host(HostPagingCollector.init),
        .host(HostPressureCollector.init),
        .host(HostSchedulerCollector.init),
        .host(HostDiskCollector.init),
        .host(HostNetworkCollector.init),
        .host(HostNetworkProtocolCollector.init),
        .host(HostSocketCollector.init),
        .host(HostSoftnetCollector.init),
        .host(HostConnectionTrackingCollector.init),
        .host(HostFileDescriptorCollector.init),
        .slowHost(HostFilesystemCollector.init),
        .slowHost(HostIdentityCollector.init),
        .slowHost(HostReleaseCollector.init),
        .slowHost(HostClockCollector.init),
        .slowHost(HostInterfaceCollector.init),
        .slowHost(HostBondingCollector.init),
        .slowHost(HostRaidCollector.init),
        .slowHost(HostNVMeCollector.init),
        .slowHost(HostKernelCollector.init),
        .slowHost(HostQueueCollector.init),
        .slowHost(HostUnitCollector.init),
        .slowHost(HostGuestCollector.init),
        .slowHost(HostTextfileCollector.init),
        .container(ContainerCPUCollector.init),
        .container(ContainerThrottlingCollector.init),
        .container(ContainerMemoryCollector.init),
        .container(ContainerTaskCollector.init),
        .container(ContainerPressureCollector.init),
        .container(ContainerInputOutputCollector.init),
        .container(ContainerNetworkCollector.init),
        .container(ContainerLifecycleCollector.init),
        .slowContainer(ContainerSpecificationCollector.init),
        .slowContainer(ContainerMemoryDetailCollector.init),
        .slowContainer(ContainerHugePagesCollector.init),
        .slowContainer(ContainerSchedulerCollector.init),
        .slowContainer(ContainerProcessCollector.init),
        .slowContainer(ContainerFilesystemCollector.init),
        .parent(ContainerCPUCollector.init),
        .parent(RootMemoryCollector.init),
        .parent(ContainerPressureCollector.init),
        .parent(ContainerInputOutputCollector.init),
        .parentBelowRoot(ContainerMemoryCollector.init),
        .parentBelowRoot(ContainerThrottlingCollector.init),
        .parentBelowRoot(ContainerSpecificationCollector.init),
    ]
}
