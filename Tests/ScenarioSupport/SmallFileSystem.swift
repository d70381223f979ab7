internal import Foundation
internal import Glibc

/// A file system of a few mebibytes in memory, which can be filled and then grow.
package final class SmallFileSystem: Sendable {
    private let scratch: ScratchFolder
    private let path: String

    /// Mounts it; needs root.
    package init(mebibytes: Int) throws {
        scratch = try ScratchFolder("small")
        path = scratch.file("mount")
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        try SmallFileSystem.mount(["-t", "tmpfs", "-o", "size=\(mebibytes)m", "tmpfs", path])
    }

    /// The path of a name in it.
    package func file(_ name: String) -> String { "\(path)/\(name)" }

    /// Gives it more room while it is in use.
    package func grow(mebibytes: Int) throws {
        try SmallFileSystem.mount(["-o", "remount,size=\(mebibytes)m", path])
    }

    /// Unmounts and removes it.
    package func remove() {
        umount2(path, Int32(MNT_DETACH))
        scratch.remove()
    }

    private static func mount(_ arguments: [String]) throws {
        let (status, output) = try ChildProcess.run("mount", arguments)
        guard status == 0 else { throw ScenarioError("mount \(arguments): \(output)") }
    }
}
