// swift-tools-version: 6.2
import PackageDescription

// The house: eleven rooms, imports strictly downward. docs/ARCHITECTURE.md says what each room answers,
// TidyTests compares this file with that page, and the build refuses an import that is not listed here
// (`--explicit-target-dependency-import-check error`, see the Makefile).

let strict: [SwiftSetting] = [
    .treatAllWarnings(as: .error),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    // Tests run in the release configuration, on the same objects as the product, and some look inside a room.
    .unsafeFlags(["-enable-testing"], .when(configuration: .release)),
]

func room(_ name: String, _ dependencies: Target.Dependency...) -> Target {
    .target(name: name, dependencies: dependencies, swiftSettings: strict)
}

func tests(_ name: String, _ dependencies: Target.Dependency..., exclude: [String] = []) -> Target {
    .testTarget(name: name, dependencies: dependencies + ["TestSupport"], exclude: exclude, swiftSettings: strict)
}

/// A C library from its Debian -dev package, linked statically so that one binary starts on other distributions.
func archive(_ name: String, _ libraries: String...) -> Target {
    .target(name: name, linkerSettings: libraries.map { .linkedLibrary($0) })
}

/// Swift's own libraries linked statically, so that the binary needs nothing but libc and libstdc++ where it runs.
/// Only the link differs: objects are shared with the tests, which `--static-swift-stdlib` would compile a second
/// time.
let portable: [LinkerSetting] = [
    .unsafeFlags([
        "-static-stdlib", "-lCoreFoundation", "-lFoundationInternationalization", "-l_FoundationICU",
        "-l_FoundationCollections", "-l_FoundationCShims", "-lswiftSynchronization",
    ])
]

let argumentParser = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")
let asn1 = Target.Dependency.product(name: "SwiftASN1", package: "swift-asn1")
let x509 = Target.Dependency.product(name: "X509", package: "swift-certificates")
let crypto = Target.Dependency.product(name: "Crypto", package: "swift-crypto")
let logging = Target.Dependency.product(name: "Logging", package: "swift-log")
let nioCore = Target.Dependency.product(name: "NIOCore", package: "swift-nio")
let nioHTTP1 = Target.Dependency.product(name: "NIOHTTP1", package: "swift-nio")
let nioPosix = Target.Dependency.product(name: "NIOPosix", package: "swift-nio")
let nioWebSocket = Target.Dependency.product(name: "NIOWebSocket", package: "swift-nio")
let nioSSL = Target.Dependency.product(name: "NIOSSL", package: "swift-nio-ssl")
let serviceLifecycle = Target.Dependency.product(name: "ServiceLifecycle", package: "swift-service-lifecycle")
let unixSignals = Target.Dependency.product(name: "UnixSignals", package: "swift-service-lifecycle")
let yams = Target.Dependency.product(name: "Yams", package: "Yams")

let package = Package(
    name: "vedette",
    products: [.executable(name: "vedette", targets: ["vedette"])],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", exact: "1.8.2"),
        .package(url: "https://github.com/apple/swift-asn1", exact: "1.7.4"),
        .package(url: "https://github.com/apple/swift-certificates", exact: "1.21.1"),
        .package(url: "https://github.com/apple/swift-crypto", exact: "4.5.2"),
        .package(url: "https://github.com/apple/swift-log", exact: "1.16.2"),
        .package(url: "https://github.com/apple/swift-nio", exact: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-ssl", exact: "2.37.6"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", exact: "2.13.0"),
        .package(url: "https://github.com/jpsim/Yams", exact: "6.2.2"),
    ],
    targets: [
        // Level 0: vocabulary and ports; durable bytes.
        room("Telemetry", "CRE2", "CLZ4", "CSnappy", "CZstd", "CZlib", "CKernels"),
        room("Disk", "CKernels"),
        // Level 1: engines and languages; none sees another.
        room("TSDB", "Disk", "Telemetry", "CKernels"),
        room("LogStore", "Disk", "Telemetry", "CKernels"),
        room("Query", "Telemetry", "CKernels"),
        room("Wire", "Telemetry", yams),
        // Level 2.
        room("Alerting", "Query", "Wire", "Disk", "Telemetry", crypto),
        room("Transport", "Wire", "Telemetry", nioCore, nioPosix, nioHTTP1, nioWebSocket, nioSSL, crypto, asn1, x509),
        // Level 3.
        room("Server", "Alerting", "Query", "Transport", "Wire", "Telemetry", crypto),
        room("Agent", "Transport", "Wire", "Disk", "Telemetry", "CSystemd", crypto),
        // Level 4: the only module that names concrete engines.
        .executableTarget(
            name: "vedette",
            dependencies: [
                "Agent", "Server", "Alerting", "Transport", "TSDB", "LogStore", "Query", "Wire", "Disk", "Telemetry",
                argumentParser, logging, serviceLifecycle, unixSignals,
            ],
            swiftSettings: strict,
            linkerSettings: portable
        ),
        // C below the rooms.
        .target(name: "CKernels"),
        .target(name: "CRE2", linkerSettings: [.linkedLibrary(":libre2.a"), .linkedLibrary("stdc++")]),
        archive("CLZ4", ":liblz4.a"),
        archive("CSnappy", ":libsnappy.a", "stdc++"),
        archive("CZstd", ":libzstd.a"),
        archive("CZlib", ":libz.a"),
        // libsystemd's headers only: the library is opened at run time, where there is one.
        .target(name: "CSystemd", linkerSettings: [.linkedLibrary("dl")]),
        // Tests: one target per room, the shape of the repository itself, and whole stories against the real binary.
        .target(
            name: "TestSupport", dependencies: ["Disk", "Telemetry", "Wire"], path: "Tests/TestSupport",
            swiftSettings: strict),
        tests("TelemetryTests", "Telemetry"),
        tests("DiskTests", "Disk"),
        tests("TSDBTests", "TSDB", "Disk", "Telemetry"),
        tests("LogStoreTests", "LogStore", "Disk", "Telemetry"),
        tests("QueryTests", "Query", "TSDB", "LogStore", "Disk", "Telemetry", exclude: ["Scripts"]),
        tests("WireTests", "Wire", "Telemetry"),
        tests(
            "AlertingTests", "Alerting", "Query", "TSDB", "Wire", "Disk", "Telemetry", exclude: ["Fixtures"]),
        tests("TransportTests", "Transport", "Wire", "Telemetry"),
        tests("ServerTests", "Server", "Alerting", "Query", "Transport", "Wire", "Disk", "Telemetry", crypto),
        tests("AgentTests", "Agent", "Transport", "Wire", "Disk", "Telemetry", exclude: ["Fixtures"]),
        tests("TidyTests"),
        // Whole stories against the real binary, and the same stage shown to people (`make demo`).
        .target(
            name: "ScenarioSupport", dependencies: ["Transport", "Wire"], path: "Tests/ScenarioSupport",
            swiftSettings: strict),
        tests("Scenarios", "ScenarioSupport"),
        .executableTarget(
            name: "vedette-demo", dependencies: ["ScenarioSupport"], path: "Tests/Demo", swiftSettings: strict,
            linkerSettings: portable),
        .executableTarget(
            name: "vedette-loader", dependencies: ["Transport", "Wire", "Telemetry"], path: "Tests/Loader",
            swiftSettings: strict, linkerSettings: portable),
    ],
    swiftLanguageModes: [.v6],
    cxxLanguageStandard: .cxx17
)
