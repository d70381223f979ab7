internal import Glibc

/// The Linux calls that Swift's Glibc module does not show, looked up by name in the C library that is loaded anyway.
///
/// Each is nil where the C library or the kernel is too old; the caller then says so and takes its fallback.
enum LinuxCalls {
    private typealias EpollCreate = @convention(c) (Int32) -> Int32
    private typealias EpollControl = @convention(c) (Int32, Int32, Int32, UnsafeMutableRawPointer?) -> Int32
    private typealias EpollWait = @convention(c) (Int32, UnsafeMutableRawPointer?, Int32, Int32) -> Int32
    private typealias EventFD = @convention(c) (UInt32, Int32) -> Int32
    private typealias PidFDOpen = @convention(c) (Int32, UInt32) -> Int32
    private typealias StatX =
        @convention(c) (
            Int32, UnsafePointer<CChar>, Int32, UInt32, UnsafeMutableRawPointer
        ) -> Int32

    private typealias AdjustTime = @convention(c) (UnsafeMutableRawPointer) -> Int32

    private static let adjustTimeCall = find("adjtimex", as: AdjustTime.self)
    private static let epollCreateCall = find("epoll_create1", as: EpollCreate.self)
    private static let epollControlCall = find("epoll_ctl", as: EpollControl.self)
    private static let epollWaitCall = find("epoll_wait", as: EpollWait.self)
    private static let eventFDCall = find("eventfd", as: EventFD.self)
    private static let pidFDOpenCall = find("pidfd_open", as: PidFDOpen.self)
    private typealias Control = @convention(c) (Int32, UInt, UnsafeMutableRawPointer) -> Int32

    private static let controlCall = find("ioctl", as: Control.self)
    private static let statXCall = find("statx", as: StatX.self)

    private static func find<Call>(_ name: String, as type: Call.Type) -> Call? {
        guard let image = dlopen(nil, RTLD_NOW), let symbol = dlsym(image, name) else { return nil }
        return unsafeBitCast(symbol, to: type)
    }

    /// A readiness queue that is closed on exec, or -1.
    static func epollCreate() -> Int32 { epollCreateCall?(0o2000000) ?? -1 }

    /// What a descriptor of a readiness queue is asked to do.
    enum EpollOperation: Int32 {
        case add = 1
        case delete = 2
    }

    /// Adds or removes `descriptor`; events are those of `poll`. False when the kernel refused.
    static func epollControl(_ queue: Int32, _ operation: EpollOperation, _ descriptor: Int32, events: UInt32) -> Bool {
        guard let epollControlCall else { return false }
        var record: (UInt64, UInt64) = (0, 0)
        return withUnsafeMutableBytes(of: &record) { raw in
            raw.storeBytes(of: events, toByteOffset: 0, as: UInt32.self)
            raw.storeBytes(of: UInt64(UInt32(bitPattern: descriptor)), toByteOffset: epollDataOffset, as: UInt64.self)
            return epollControlCall(queue, operation.rawValue, descriptor, raw.baseAddress) == 0
        }
    }

    /// Waits at most `milliseconds` (-1: for ever) and calls `body` with each ready descriptor and its events.
    static func epollWait(_ queue: Int32, milliseconds: Int32, _ body: (Int32, UInt32) -> Void) {
        guard let epollWaitCall else { return }
        withUnsafeTemporaryAllocation(byteCount: epollRecordBytes * 64, alignment: 8) { raw in
            let count = epollWaitCall(queue, raw.baseAddress, 64, milliseconds)
            guard count > 0 else { return }
            for index in 0..<Int(count) {
                let record = UnsafeRawBufferPointer(rebasing: raw[(index * epollRecordBytes)...])
                let events = record.loadUnaligned(as: UInt32.self)
                let data = record.loadUnaligned(fromByteOffset: epollDataOffset, as: UInt64.self)
                body(Int32(truncatingIfNeeded: data), events)
            }
        }
    }

    // `struct epoll_event` is packed on x86-64 only (<sys/epoll.h>).
    #if arch(x86_64)
        private static let epollRecordBytes = 12
        private static let epollDataOffset = 4
    #else
        private static let epollRecordBytes = 16
        private static let epollDataOffset = 8
    #endif

    /// A counter descriptor, non-blocking and closed on exec, or -1.
    static func eventDescriptor() -> Int32 { eventFDCall?(0, 0o2000000 | 0o4000) ?? -1 }

    /// A descriptor that becomes readable when process `pid` ends, or -1.
    static func openProcess(_ pid: Int32) -> Int32 { pidFDOpenCall?(pid, 0) ?? -1 }

    /// How the process behind a descriptor ended, as shells count it: its exit code, or 128 and the signal. Nil while
    /// its parent has not taken note of it, and with kernels before 6.15 (`PIDFD_GET_INFO`, linux/pidfd.h).
    static func exitCode(ofProcess descriptor: Int32) -> Int? {
        guard let controlCall else { return nil }
        let getInformation: UInt = 0xc040_ff0b  // _IOWR(0xFF, 11, struct pidfd_info), of 64 bytes
        let exitInformation: UInt64 = 1 << 3  // PIDFD_INFO_EXIT
        return withUnsafeTemporaryAllocation(byteCount: 64, alignment: 8) { raw in
            raw.initializeMemory(as: UInt8.self, repeating: 0)
            raw.storeBytes(of: exitInformation, as: UInt64.self)
            guard let base = raw.baseAddress, controlCall(descriptor, getInformation, base) == 0,
                raw.load(as: UInt64.self) & exitInformation != 0
            else { return nil }
            let status = raw.load(fromByteOffset: 60, as: Int32.self)
            let signal = Int(status & 0x7f)
            return signal == 0 ? Int(status >> 8 & 0xff) : 128 + signal
        }
    }

    /// How the kernel keeps its clock; nothing is changed. Nil where that may not be asked.
    static func clockDiscipline() -> ClockDiscipline? {
        guard let adjustTimeCall else { return nil }
        // struct timex has 208 bytes; its first field, `modes`, is 0 for reading.
        return withUnsafeTemporaryAllocation(byteCount: 256, alignment: 8) { raw in
            raw.initializeMemory(as: UInt8.self, repeating: 0)
            guard let base = raw.baseAddress else { return nil }
            let result = adjustTimeCall(base)
            return result < 0 ? nil : ClockDiscipline(UnsafeRawBufferPointer(raw), result: result)
        }
    }

    /// The birth time of an open file in nanoseconds since 1970; 0 where the file system keeps none.
    static func birthNanoseconds(of descriptor: Int32) -> Int64 {
        guard let statXCall else { return 0 }
        // struct statx: stx_mask at 0, stx_btime (seconds, nanoseconds) at 80 and 88; 256 bytes in all.
        let emptyPath = 0x1000  // AT_EMPTY_PATH
        let birthTime: UInt32 = 0x800  // STATX_BTIME
        return withUnsafeTemporaryAllocation(byteCount: 256, alignment: 8) { raw in
            guard let base = raw.baseAddress else { return 0 }
            guard statXCall(descriptor, "", Int32(emptyPath), birthTime, base) == 0 else { return 0 }
            guard raw.load(as: UInt32.self) & birthTime != 0 else { return 0 }
            let seconds = raw.load(fromByteOffset: 80, as: Int64.self)
            return seconds &* 1_000_000_000 &+ Int64(raw.load(fromByteOffset: 88, as: UInt32.self))
        }
    }
}
