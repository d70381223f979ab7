/// Why a record was not kept.
package enum LogAppendError: Error, Sendable, Equatable, CustomStringConvertible {
    /// More is waiting for the disk than may wait: a normal state of a disk slower than its senders. Try again later.
    case overloaded(queuedBytes: Int, maximumBytes: Int)
    /// No frame holds that much: a mistake of the sender.
    case tooLarge(bytes: Int)
    /// The log is closed or closing.
    case closed
    /// The disk refused; `noSpace` ends by itself, a failed sync does not.
    case storage(StorageError)

    package var description: String {
        switch self {
        case .overloaded(let queued, let maximum):
            "\(queued) bytes already wait to be written, at most \(maximum) may: nothing of this was kept, "
                + "send it again later"
        case .tooLarge(let bytes):
            "a record of \(bytes) bytes is over \(LogRecord.payloadBytesMaximum): nothing of it was kept, split it"
        case .closed: "the log is closed: nothing of this was kept"
        case .storage(let error): error.description
        }
    }
}
