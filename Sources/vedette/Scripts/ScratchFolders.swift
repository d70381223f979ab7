internal import Foundation

/// Folders for the stores of a run, removed at its end.
final class ScratchFolders: @unchecked Sendable {
    private let lock = NSLock()
    private var paths: [String] = []

    func make() throws -> String {
        let url = FileManager.default.temporaryDirectory.appendingPathComponent("vedette-test-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
        lock.withLock { paths.append(url.path) }
        return url.path
    }

    func remove() {
        for path in lock.withLock({ paths }) { try? FileManager.default.removeItem(atPath: path) }
    }
}
