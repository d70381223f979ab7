/// Why a file operation failed: which one, where, and what the system said.
public struct StorageError: Error, Sendable, Equatable, CustomStringConvertible {
    /// What a caller can do about it.
    public enum Kind: Sendable, Equatable {
        case notFound
        case alreadyExists
        /// No space (ENOSPC, EDQUOT): a normal state that ends when space is freed.
        case noSpace
        /// The medium failed (EIO): what was not synced before may be gone.
        case inputOutput
        /// Somebody else holds the lock.
        case locked
        case permission
        case other
    }

    public var kind: Kind
    /// The operation, for example "pwrite".
    public var operation: String
    public var path: String
    /// The system's error number, 0 when it was not the system that refused.
    public var code: Int32
    /// More about it, or empty.
    public var detail: String

    /// An error of `operation` on `path`.
    public init(_ kind: Kind, operation: String, path: String, code: Int32 = 0, detail: String = "") {
        self.kind = kind
        self.operation = operation
        self.path = path
        self.code = code
        self.detail = detail
    }

    public var description: String {
        let words =
            switch kind {
            case .notFound: "no such file or folder"
            case .alreadyExists: "it exists already"
            case .noSpace: "no space left on the device"
            case .inputOutput: "input/output error of the device"
            case .locked: "another process holds the lock"
            case .permission: "permission denied"
            case .other: code == 0 ? "failed" : "failed with error \(code)"
            }
        return "\(operation) \(path): \(words)\(detail.isEmpty ? "" : " (\(detail))")"
    }
}

/// How a file is opened.
public enum FileMode: Sendable {
    case read
    /// Reads and writes; the file must exist.
    case readWrite
    /// Reads and writes; the file must not exist.
    case create
    /// Reads and writes; made when it does not exist.
    case createOrOpen
    /// The same for a secret: nobody but its owner may read it, from the first moment on.
    case createOrOpenPrivate

    /// Whether a file that does not exist is made.
    public var mayCreate: Bool {
        switch self {
        case .read, .readWrite: false
        case .create, .createOrOpen, .createOrOpenPrivate: true
        }
    }
}

/// What a name in a folder stands for.
public struct FolderEntry: Sendable, Equatable {
    public var name: String
    public var isFolder: Bool
    /// The file's size, 0 for a folder.
    public var bytes: UInt64

    /// An entry.
    public init(name: String, isFolder: Bool, bytes: UInt64) {
        self.name = name
        self.isFolder = isFolder
        self.bytes = bytes
    }
}

/// The room of a file system.
public struct FileSystemSpace: Sendable, Equatable {
    public var totalBytes: UInt64
    /// What this process may still write.
    public var availableBytes: UInt64

    /// Sizes of a file system.
    public init(totalBytes: UInt64, availableBytes: UInt64) {
        self.totalBytes = totalBytes
        self.availableBytes = availableBytes
    }
}

/// Reads an immutable object by ranges: a file today, an object of a store tomorrow.
public protocol ObjectReader: Sendable {
    /// The name for messages.
    var path: String { get }
    /// The object's size in bytes.
    func size() throws(StorageError) -> UInt64
    /// Reads exactly `buffer.count` bytes at `offset`; an object that ends before is an error of kind `inputOutput`.
    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(StorageError)
}

/// An open file. Closed when it is let go of. Thread-safe as far as the system's calls are.
public protocol FileHandle: ObjectReader {
    /// Writes all of `bytes` at `offset`. After an error any part of them may have been written.
    func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws(StorageError)
    /// Makes what was written, and the file's size, durable (fdatasync). After an error nothing is known of it:
    /// never try again on the same file, what failed to sync may be dropped and a later success would lie.
    func dataSync() throws(StorageError)
    /// Cuts or extends the file with zeros.
    func truncate(to bytes: UInt64) throws(StorageError)
    /// Reserves room so that later writes within it cannot fail for lack of space; the size grows, the bytes are zero.
    func allocate(upTo bytes: UInt64) throws(StorageError)
    /// Takes the exclusive lock of the file, which the system lets go of when the process ends.
    func lock() throws(StorageError)
}

/// Port: durable bytes. Paths are absolute or relative to the storage's own root; "/" separates.
///
/// What the medium must promise: bytes before a successful sync stay; bytes outside a write are not changed by it; a
/// rename is atomic; a name is durable after its folder was synced.
public protocol FileStorage: Sendable {
    /// Opens a file.
    func open(_ path: String, _ mode: FileMode) throws(StorageError) -> any FileHandle
    /// Gives a file a second name in the same file system.
    func link(_ path: String, to other: String) throws(StorageError)
    /// Renames a file or folder, replacing a file of that name.
    func rename(_ path: String, to other: String) throws(StorageError)
    /// Removes a file or an empty folder.
    func remove(_ path: String) throws(StorageError)
    /// Makes a folder and those above it, durably; an existing one is no error.
    func makeFolder(_ path: String) throws(StorageError)
    /// The entries of a folder, ordered by name.
    func list(_ path: String) throws(StorageError) -> [FolderEntry]
    /// Makes the names in a folder durable.
    func syncFolder(_ path: String) throws(StorageError)
    /// The room of the file system that holds `path`.
    func space(at path: String) throws(StorageError) -> FileSystemSpace
}
