internal import Glibc

/// Which file it is, whatever its name: inodes are used again right after a rotation, birth times are not.
struct FileIdentity: Hashable, Sendable {
    var device: UInt64
    var inode: UInt64
    /// Nanoseconds since 1970. Where the file system keeps none, a number below zero made of the file's first line
    /// (`ContentMark.birth`); 0 until that is known.
    var birthNanoseconds: Int64

    /// The open file's identity; nil when it cannot be asked.
    init?(descriptor: Int32) {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { return nil }
        device = UInt64(status.st_dev)
        inode = UInt64(status.st_ino)
        birthNanoseconds = LinuxCalls.birthNanoseconds(of: descriptor)
    }

    /// An identity as it was written down.
    init(device: UInt64, inode: UInt64, birthNanoseconds: Int64) {
        self.device = device
        self.inode = inode
        self.birthNanoseconds = birthNanoseconds
    }

    /// The source of log lines from this file on one agent.
    func source(agent: String) -> String { "\(agent)/\(device):\(inode):\(birthNanoseconds)" }
}

/// What a file holds up to an offset: its beginning and the bytes in front of the offset. A file that holds the same is
/// the same log, whatever its inode (a copy, an unpacked archive); one that does not was cut and written anew, or got
/// the inode of a file that is gone.
struct ContentMark: Hashable, Sendable {
    /// How many bytes of the beginning `head` stands for, at most `headBytes`.
    var headLength: UInt16
    var head: UInt64
    /// Of the up to `tailBytes` bytes in front of the offset.
    var tail: UInt64

    static let headBytes = 1024
    static let tailBytes = 64

    /// A mark as it was written down.
    init(headLength: UInt16, head: UInt64, tail: UInt64) {
        self.headLength = headLength
        self.head = head
        self.tail = tail
    }

    /// The mark of an open file at `offset`, of `headLength` bytes of its beginning (as a rule what lies in front of
    /// the offset); nil when the file is shorter or cannot be read.
    init?(of descriptor: Int32, at offset: UInt64, headLength: Int? = nil) {
        let length = headLength ?? min(Int(clamping: offset), Self.headBytes)
        let before = min(Int(clamping: offset), Self.tailBytes)
        guard let head = Self.hash(of: descriptor, at: 0, count: length),
            let tail = Self.hash(of: descriptor, at: offset - UInt64(before), count: before)
        else { return nil }
        self.init(headLength: UInt16(length), head: head, tail: tail)
    }

    /// Whether the file holds what this mark stands for up to `offset`.
    func matches(_ descriptor: Int32, at offset: UInt64) -> Bool {
        ContentMark(of: descriptor, at: offset, headLength: Int(headLength)) == self
    }

    /// What stands for the birth time of a file that has none: below zero, from its first line or first 256 bytes. Nil
    /// while neither is there, unless `isFinal`.
    static func birth(of descriptor: Int32, isFinal: Bool) -> Int64? {
        withUnsafeTemporaryAllocation(byteCount: 256, alignment: 8) { raw in
            let count = pread(descriptor, raw.baseAddress, raw.count, 0)
            guard count > 0 else { return nil }
            let end = raw[..<count].firstIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? count
            guard end < count || count == 256 || raw[count - 1] == UInt8(ascii: "\n") || isFinal else { return nil }
            return -1 - Int64(hash(UnsafeRawBufferPointer(rebasing: raw[..<end])) >> 1)
        }
    }

    private static func hash(of descriptor: Int32, at offset: UInt64, count: Int) -> UInt64? {
        withUnsafeTemporaryAllocation(byteCount: max(1, count), alignment: 8) { raw in
            guard pread(descriptor, raw.baseAddress, count, off_t(offset)) == count else { return nil }
            return hash(UnsafeRawBufferPointer(rebasing: raw[..<count]))
        }
    }

    /// FNV-1a of 64 bits (Fowler, Noll, Vo; draft-eastlake-fnv): a kilobyte is hashed once a file, 64 bytes once a
    /// read.
    static func hash(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
        bytes.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
    }
}
