internal import Glibc

/// The kernel's notices about files and folders (man 7 inotify), for one thread's readiness loop.
final class Inotify {
    /// What may happen to a watched path.
    struct Events: OptionSet {
        let rawValue: UInt32

        static let modified = Events(rawValue: UInt32(IN_MODIFY))
        static let created = Events(rawValue: UInt32(IN_CREATE))
        static let movedFrom = Events(rawValue: UInt32(IN_MOVED_FROM))
        static let movedTo = Events(rawValue: UInt32(IN_MOVED_TO))
        static let deleted = Events(rawValue: UInt32(IN_DELETE))
        /// The watched path itself is gone, and the watch with it.
        static let gone = Events(rawValue: UInt32(IN_IGNORED))
        /// So much happened that the kernel dropped notices: look at everything.
        static let overflow = Events(rawValue: UInt32(IN_Q_OVERFLOW))
    }

    let descriptor: Int32

    /// Nil where the kernel gives no more instances (fs.inotify.max_user_instances).
    init?() {
        descriptor = inotify_init1(Int32(IN_NONBLOCK) | Int32(IN_CLOEXEC))
        guard descriptor >= 0 else { return nil }
    }

    deinit { close(descriptor) }

    /// Watches `path`; nil when it is not there or the limit of watches is reached.
    func watch(_ path: String, _ events: Events) -> Int32? {
        let watch = inotify_add_watch(descriptor, path, events.rawValue)
        return watch >= 0 ? watch : nil
    }

    /// Stops watching.
    func remove(_ watch: Int32) { inotify_rm_watch(descriptor, watch) }

    /// Hands over all waiting notices: the watch (-1 for an overflow) and what happened.
    func drain(_ body: (Int32, Events) -> Void) {
        withUnsafeTemporaryAllocation(byteCount: 16 << 10, alignment: 8) { raw in
            while true {
                let count = read(descriptor, raw.baseAddress, raw.count)
                guard count > 0 else { return }
                var offset = 0
                // struct inotify_event: wd, mask, cookie, len, then len bytes of name.
                while offset + 16 <= count {
                    let watch = raw.loadUnaligned(fromByteOffset: offset, as: Int32.self)
                    let mask = raw.loadUnaligned(fromByteOffset: offset + 4, as: UInt32.self)
                    let length = raw.loadUnaligned(fromByteOffset: offset + 12, as: UInt32.self)
                    body(watch, Events(rawValue: mask))
                    offset += 16 + Int(length)
                }
            }
        }
    }
}
