internal import Glibc

/// Calls into the kernel: repeats what a signal interrupted and words what was refused.
enum SystemCall {
    /// The result of `call`, repeated while it answers EINTR; a negative one throws the error of `operation` on `path`.
    static func run<Result: SignedInteger>(
        _ operation: String, _ path: String, _ call: () -> Result
    ) throws(StorageError) -> Result {
        while true {
            let result = call()
            if result >= 0 { return result }
            let code = errno
            if code != EINTR { throw error(operation, path, code) }
        }
    }

    /// The error that `code` stands for.
    static func error(_ operation: String, _ path: String, _ code: Int32) -> StorageError {
        let kind: StorageError.Kind =
            switch code {
            case ENOENT, ENOTDIR: .notFound
            case EEXIST, ENOTEMPTY: .alreadyExists
            case ENOSPC, EDQUOT: .noSpace
            case EIO: .inputOutput
            case EWOULDBLOCK: .locked
            case EACCES, EPERM, EROFS: .permission
            default: .other
            }
        let isVague = kind == .other || code == EROFS || code == ENOTDIR
        let words = isVague ? String(cString: strerror(code)) : ""
        return StorageError(kind, operation: operation, path: path, code: code, detail: words)
    }
}
