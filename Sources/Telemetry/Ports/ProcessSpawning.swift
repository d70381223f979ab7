/// What a finished process left.
public struct ProcessOutcome: Sendable, Equatable {
    /// The exit status, or 128 plus the signal that ended it.
    public var status: Int32
    /// Standard output, cut at the limit of the request.
    public var output: [UInt8]
    /// Standard error, cut at the limit of the request.
    public var errorOutput: [UInt8]

    /// An outcome.
    public init(status: Int32, output: [UInt8], errorOutput: [UInt8]) {
        self.status = status
        self.output = output
        self.errorOutput = errorOutput
    }
}

/// A program to run. There is no shell in between: arguments arrive as they are.
public struct ProcessRequest: Sendable, Equatable {
    /// An absolute path.
    public var executable: String
    public var arguments: [String]
    /// The whole environment of the process.
    public var environment: [String: String]
    public var timeoutMilliseconds: Int64
    /// The most bytes kept of either output.
    public var outputBytesMaximum: Int

    /// A program with its arguments.
    public init(
        executable: String, arguments: [String], environment: [String: String] = [:], timeoutMilliseconds: Int64,
        outputBytesMaximum: Int = 64 << 10
    ) {
        self.executable = executable
        self.arguments = arguments
        self.environment = environment
        self.timeoutMilliseconds = timeoutMilliseconds
        self.outputBytesMaximum = outputBytesMaximum
    }
}

/// Port: runs programs of the host.
public protocol ProcessSpawning: Sendable {
    /// Runs to the end or kills the process group at the time-out; throws when it could not be started.
    func run(_ request: ProcessRequest) async throws -> ProcessOutcome
}
