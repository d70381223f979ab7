internal import NIOCore
internal import NIOPosix

/// The process' two event loops, shared by every client and listener: more would only cost memory and context switches
/// where two cores are the rule. They live as long as the process.
enum EventLoops {
    static let shared = MultiThreadedEventLoopGroup(numberOfThreads: 2)
}
