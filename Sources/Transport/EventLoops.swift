internal import NIOCore
internal import NIOPosix

/// The process' two event loops, shared by every client and listener: more would only cost memory and context switches
/// where two cores are the rule. They live as long as the process.
enum EventLoops {
    static let shared = MultiThreadedEventLoopGroup(numberOfThreads: 2)
    private static let executors = shared.makeIterator().map { EventLoopExecutor($0) }

    /// Runs tasks on an event loop of `shared`; nil for another's.
    static func executor(of loop: any EventLoop) -> EventLoopExecutor? { executors.first { $0.loop === loop } }
}

/// Runs what a task does between its waits on an event loop.
final class EventLoopExecutor: TaskExecutor {
    let loop: any EventLoop

    init(_ loop: any EventLoop) {
        self.loop = loop
    }

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        loop.execute { [self] in job.runSynchronously(on: asUnownedTaskExecutor()) }
    }
}
