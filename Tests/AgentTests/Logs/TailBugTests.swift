import Disk
import Glibc
import Synchronization
import Telemetry
import TestSupport
import Testing

@testable import Agent

/// Bugs that other log shippers have or had (research of their issue trackers): each must not be one of ours.
@Suite struct TailBugTests {
    /// A text file that is followed by a pattern.
    private final class PlainStage {
        let stage = TailStage()
        var folder: String { "\(stage.scratch.path)/logs" }
        var path: String { "\(folder)/app.log" }

        init() {
            stage.scratch.makeFolder("logs")
            stage.settings.files = [LogSettings.Files(pattern: "\(folder)/app.log*")]
            AtomicFilePositions.begin(stage.scratch.path)
        }

        func begin() { stage.restart() }

        func write(_ texts: String...) {
            for text in texts { stage.scratch.append(text + "\n", to: "logs/app.log") }
        }

        func copy(_ from: String, to: String) {
            let bytes = HostRoot().bytes("\(folder)/\(from)", limit: 8 << 20) ?? []
            write(bytes, to: to)
        }

        func write(_ bytes: [UInt8], to name: String) {
            guard let file = fopen("\(folder)/\(name)", "w") else { return }
            fwrite(bytes, 1, bytes.count, file)
            fclose(file)
        }

        func compress(_ name: String) {
            let bytes = HostRoot().bytes("\(folder)/\(name)", limit: 8 << 20) ?? []
            write(Compression.gzip.compress(bytes), to: "\(name).gz")
            unlink("\(folder)/\(name)")
        }

        var texts: [String] { stage.sink.texts }
    }

    // k8s#64760, otel-contrib#43693, VictoriaLogs#1720: what was written between the last look and a copytruncate.
    @Test func copytruncateLosesNothing() {
        let plain = PlainStage()
        plain.begin()
        plain.write("1", "2")
        plain.stage.pass()
        plain.write("3")
        plain.copy("app.log", to: "app.log.1")
        truncate(plain.path, 0)
        plain.write("4")
        plain.stage.pass()
        plain.stage.pass(milliseconds: 2_000)
        #expect(plain.texts == ["1", "2", "3", "4"])
        let origins = plain.stage.sink.state.withLock { $0.batches }.flatMap { $0.batch.streams }.compactMap(\.origin)
        #expect(Set(origins.map(\.source)).count == 1)
        #expect(origins.map(\.generation) == [0, 0, 1])
    }

    @Test func copytruncateWhileTheAgentIsAwayLosesNothing() {
        let plain = PlainStage()
        plain.begin()
        plain.write("1", "2")
        plain.stage.pass()
        plain.stage.settleAll()
        plain.stage.tailer = nil
        plain.write("3")
        plain.copy("app.log", to: "app.log.1")
        truncate(plain.path, 0)
        plain.write("4")
        plain.stage.restart()
        plain.stage.pass()
        plain.stage.pass(milliseconds: 2_000)
        #expect(plain.texts == ["1", "2", "3", "4"])
        #expect(plain.stage.sink.losses.isEmpty)
    }

    // While gzip ends, the file and its archive are both there: one file, not two.
    @Test func aFileThatIsBeingCompressedIsReadOnce() {
        let plain = PlainStage()
        plain.begin()
        plain.write("1")
        plain.stage.pass()
        plain.stage.settleAll()
        plain.stage.tailer = nil
        rename(plain.path, "\(plain.path).3")
        plain.compress("app.log.3")
        plain.write("2")
        rename(plain.path, "\(plain.path).2")
        plain.copy("app.log.2", to: "kept")
        plain.compress("app.log.2")
        rename("\(plain.folder)/kept", "\(plain.path).2")
        plain.write("3")
        plain.stage.restart()
        plain.stage.pass()
        plain.stage.pass(milliseconds: 2_000)
        #expect(plain.texts == ["1", "2", "3"])
        #expect(plain.stage.sink.losses.isEmpty)
    }

    // An agent that got no time for longer than a rotation takes: the file was there and compressed between two looks.
    @Test func aFileThatCameAndWasCompressedBetweenTwoLooksIsRead() {
        let plain = PlainStage()
        plain.begin()
        plain.write("1")
        plain.stage.pass()
        for (number, text) in [(4, "2"), (3, "3"), (2, "4")] {
            rename(plain.path, "\(plain.path).\(number)")
            plain.compress("app.log.\(number)")
            plain.write(text)
        }
        plain.stage.pass()
        plain.stage.pass(milliseconds: 2_000)
        #expect(plain.texts == ["1", "2", "3", "4"])
        #expect(plain.stage.sink.losses.isEmpty)
    }

    // k8s kubelet: the file is renamed, later compressed; fluent-bit#2110, otel#40523 (the archive read as new).
    @Test func filesThatWereCompressedWhileTheAgentWasAwayAreReadOnAndNothingTwice() {
        let plain = PlainStage()
        plain.begin()
        plain.write("1", "2")
        plain.stage.pass()
        plain.stage.settleAll()
        plain.stage.tailer = nil
        plain.write("3")
        rename(plain.path, "\(plain.path).2")
        plain.compress("app.log.2")
        plain.write("4")
        rename(plain.path, "\(plain.path).1")
        plain.compress("app.log.1")
        plain.write("5")
        plain.stage.restart()
        plain.stage.pass()
        plain.stage.pass(milliseconds: 2_000)
        #expect(plain.texts == ["1", "2", "3", "4", "5"])
        #expect(plain.stage.sink.losses.isEmpty)
        // Nor when the agent comes back once more, with everything acknowledged.
        plain.stage.settleAll()
        plain.stage.pass(milliseconds: 1_000)
        plain.stage.settleAll()
        plain.stage.restart()
        plain.stage.pass()
        #expect(plain.texts == ["1", "2", "3", "4", "5"])
    }

    @Test func aDamagedArchiveIsALossAndTheRestIsRead() {
        let plain = PlainStage()
        plain.begin()
        plain.write("1", "2")
        plain.stage.pass()
        plain.stage.settleAll()
        plain.stage.tailer = nil
        plain.write([0x1f, 0x8b, 8, 0, 1, 2, 3], to: "app.log.1.gz")
        // Held only so that its inode is not given again in this test.
        let held = open(plain.path, O_RDONLY)
        defer { close(held) }
        unlink(plain.path)
        plain.write("5")
        plain.stage.restart()
        plain.stage.pass()
        #expect(plain.texts == ["1", "2", "5"])
        #expect(plain.stage.sink.losses.count == 1)
    }

    // fluent-bit#1875, #4895, #8025, #11455: the inode of a deleted file is given to the next one.
    @Test func aFileThatGotTheInodeOfAnotherIsNotTakenForIt() throws {
        let scratch = ScratchFolder()
        scratch.write("the log that was there before\n", to: "old")
        let before = try #require(
            TailedFile(path: "\(scratch.path)/old", format: PlainFormat(), isFinal: false))
        let mark = ContentMark(of: before.descriptor, at: 30)
        scratch.write("another log, which is longer than that\n", to: "new")
        let after = try #require(
            TailedFile(path: "\(scratch.path)/new", format: PlainFormat(), isFinal: false))
        var reach = TailPositions.Reach(generation: 3, offset: 30)
        reach.mark = mark
        #expect(before.resume(reach))
        #expect(!after.resume(reach))
        #expect(after.harvested.generation == 4)
        #expect(after.harvested.offset == 0)
    }

    @Test func aFileSystemWithoutBirthTimesTellsFilesByTheirFirstLine() throws {
        let scratch = ScratchFolder()
        scratch.write("first", to: "a")
        let descriptor = open("\(scratch.path)/a", O_RDONLY)
        defer { close(descriptor) }
        // Not before the line is whole: it would be another file a moment later.
        #expect(ContentMark.birth(of: descriptor, isFinal: false) == nil)
        scratch.append(" line\nsecond\n", to: "a")
        let birth = try #require(ContentMark.birth(of: descriptor, isFinal: false))
        #expect(birth < 0)
        scratch.append("third\n", to: "a")
        #expect(ContentMark.birth(of: descriptor, isFinal: false) == birth)
    }

    // fluent-bit: a line of more than buffer_max_size drops the file; #4312: a gigabyte of memory for long lines.
    @Test func aVeryLongLineIsCutAndNothingOfItIsLost() {
        let plain = PlainStage()
        plain.begin()
        let long = String(repeating: "x", count: 1_000_000)
        plain.write("before", long, "behind")
        plain.stage.pass()
        let texts = plain.texts
        #expect(texts.first == "before")
        #expect(texts.last == "behind")
        #expect(texts.dropFirst().dropLast().joined() == long)
        #expect(texts.allSatisfy { $0.utf8.count <= 2 * LineJoiner.lineBytesMaximum })
        let marks = plain.stage.sink.state.withLock { $0.batches }.flatMap { $0.batch.streams }.flatMap(\.metadata)
        #expect(marks.contains { $0.labels["split"] == "true" })
    }

    // coroot: a tail that begins at the end of the file loses the first lines of a container.
    @Test func aNewContainersLogIsReadFromItsStart() {
        let stage = TailStage()
        AtomicFilePositions.begin(stage.scratch.path)
        stage.restart()
        stage.pass()
        for number in 0..<100 { stage.write("\(number)") }
        stage.addContainer()
        stage.pass()
        #expect(stage.sink.texts.count == 100)
    }

    // vector#22143: deleted files that are held keep the disk until it is full.
    @Test func deletedFilesKeepNoMoreThanTheirBudget() {
        let plain = PlainStage()
        plain.stage.settings.heldBytesMaximum = 64 << 10
        plain.begin()
        plain.write("1")
        plain.stage.pass()
        plain.stage.sink.state.withLock { $0.isAccepting = false }
        for _ in 0..<100 { plain.write(String(repeating: "y", count: 2_000)) }
        unlink(plain.path)
        plain.stage.pass()
        plain.stage.sink.state.withLock { $0.isAccepting = true }
        plain.stage.pass()
        #expect(plain.texts == ["1"])
        #expect(plain.stage.sink.losses.first.map { $0.bytes > 200_000 } == true)
    }

    @Test func aDeletedFileWithinTheBudgetWaitsForTheServer() {
        let plain = PlainStage()
        plain.begin()
        plain.write("1")
        plain.stage.pass()
        plain.stage.sink.state.withLock { $0.isAccepting = false }
        plain.write("2")
        unlink(plain.path)
        plain.stage.pass(milliseconds: 60_000)
        plain.stage.sink.state.withLock { $0.isAccepting = true }
        plain.stage.pass()
        #expect(plain.texts == ["1", "2"])
    }

    // A writer that was not told of a rotation goes on in the renamed file.
    @Test func aRenamedFileThatGrowsAgainIsReadOn() {
        let plain = PlainStage()
        plain.begin()
        plain.write("1")
        plain.stage.pass()
        rename(plain.path, "\(plain.path).1")
        plain.write("2")
        for _ in 0..<4 { plain.stage.pass(milliseconds: 2_000) }
        plain.stage.scratch.append("late\n", to: "logs/app.log.1")
        plain.stage.pass(milliseconds: 31_000)
        plain.stage.pass()
        #expect(plain.texts == ["1", "2", "late"])
    }

    // fluent-bit-docs, tail: a last line without an end is never read.
    @Test func aLastLineWithoutAnEndIsGivenOutWhenNothingMoreComes() {
        let plain = PlainStage()
        plain.begin()
        plain.write("1")
        plain.stage.scratch.append("panic: no end", to: "logs/app.log")
        plain.stage.pass()
        #expect(plain.texts == ["1"])
        plain.stage.pass(milliseconds: 1_000)
        plain.stage.pass(milliseconds: 6_000)
        #expect(plain.texts == ["1", "panic: no end"])
        plain.write(" and more")
        plain.stage.pass()
        #expect(plain.texts.last == " and more")
    }

    // vector#6771: a pattern was looked at once in a minute, so that a file which lives shorter was never seen.
    @Test func aNewFileThatMatchesIsReadAtOnce() {
        let plain = PlainStage()
        plain.begin()
        plain.stage.pass()
        plain.write("first", "second")
        plain.stage.pass()
        #expect(plain.texts == ["first", "second"])
    }

    // k8s#59206, vector#3662: there may be no link in /var/log/containers, and where the runtime is Docker the file in
    // /var/log/pods is a link itself.
    @Test func aPodsLogIsReadWithoutAnyLinkAndThroughOne() {
        let stage = TailStage()
        let pod = "pods/default_web-0_00000000-0000-0000-0000-00000000000a"
        for folder in ["pods", pod, "\(pod)/app", "\(pod)/side", "docker"] { stage.scratch.makeFolder(folder) }
        stage.settings.podFolder = "\(stage.scratch.path)/pods"
        AtomicFilePositions.begin(stage.scratch.path)
        stage.scratch.write("2026-11-23T08:54:30Z stdout F plain\n", to: "\(pod)/app/0.log")
        stage.scratch.write(TailStage.record("linked"), to: "docker/x-json.log")
        symlink("\(stage.scratch.path)/docker/x-json.log", "\(stage.scratch.path)/\(pod)/side/0.log")
        stage.restart()
        stage.pass()
        #expect(stage.sink.texts.sorted() == ["linked", "plain"])
    }

    // containerd writes `P` at the end of a stream and no `F` ever follows.
    @Test func aFinalPieceWithoutItsEndIsGivenOutWhenThePodEnds() {
        let stage = TailStage()
        stage.scratch.makeFolder("pods")
        stage.scratch.makeFolder("pods/default_web-0_00000000-0000-0000-0000-00000000000a")
        stage.scratch.makeFolder("pods/default_web-0_00000000-0000-0000-0000-00000000000a/app")
        stage.settings.podFolder = "\(stage.scratch.path)/pods"
        AtomicFilePositions.begin(stage.scratch.path)
        stage.restart()
        let log = "pods/default_web-0_00000000-0000-0000-0000-00000000000a/app/0.log"
        stage.scratch.write("2026-11-23T08:54:30Z stdout F out\n2026-11-23T08:54:31Z stdout P panic: ", to: log)
        stage.scratch.append("last\n", to: log)
        stage.pass()
        #expect(stage.sink.texts == ["out"])
        let group = ContainerGroup(path: "/kubepods/\(stage.id)", facts: Self.facts(stage.id))
        stage.registry.setGroups([stage.id: group], atNanoseconds: stage.clock.nowNanoseconds)
        stage.pass()
        stage.tailer?.containerEnded(stage.id, atNanoseconds: stage.clock.nowNanoseconds)
        stage.pass(milliseconds: 500)
        #expect(stage.sink.texts == ["out", "panic: last"])
        let stream = stage.sink.state.withLock { $0.batches }.flatMap { $0.batch.streams }.first
        #expect(stream?.labels["namespace"] == "default")
        #expect(stream?.labels["pod"] == "web-0")
        #expect(stream?.labels["service"] == "default/web/app")
    }

    private static func facts(_ id: String) -> ContainerPath {
        let path = "/kubepods/burstable/pod00000000-0000-0000-0000-00000000000a/\(id)"
        guard let facts = ContainerPath(path) else { preconditionFailure("no container's path") }
        return facts
    }

    // conmon: the old data is gone with the name, only the open descriptor still has it.
    @Test func conmonsTruncatingRotationLosesNothingThatIsOpen() {
        let stage = TailStage()
        let folder = "overlay-containers/\(stage.id)/userdata"
        var made = ""
        for part in folder.split(separator: "/") {
            made += made.isEmpty ? String(part) : "/\(part)"
            stage.scratch.makeFolder(made)
        }
        stage.scratch.write(
            #"[{"id":"\#(stage.id)","names":["shop"],"metadata":"{\"image-name\":\"redis:7\"}"}]"#,
            to: "overlay-containers/containers.json")
        stage.settings.podmanFolders = [stage.scratch.path]
        AtomicFilePositions.begin(stage.scratch.path)
        stage.restart()
        let record = { (text: String) in "2026-11-23T08:52:20.1+00:00 stdout F \(text)\n" }
        stage.scratch.write(record("1"), to: "\(folder)/ctr.log")
        stage.pass()
        stage.scratch.append(record("2"), to: "\(folder)/ctr.log")
        stage.scratch.write(record("3"), to: "\(folder)/ctr.log.tmp")
        rename("\(stage.scratch.path)/\(folder)/ctr.log.tmp", "\(stage.scratch.path)/\(folder)/ctr.log")
        stage.pass()
        stage.pass(milliseconds: 2_000)
        #expect(stage.sink.texts == ["1", "2", "3"])
        let labels = stage.sink.state.withLock { $0.batches }.flatMap { $0.batch.streams }.first?.labels
        #expect(labels?["container"] == "shop")
        #expect(labels?["image"] == "redis:7")
    }

    // The kernel drops notices when too many files change (IN_Q_OVERFLOW), and gives none beyond max_user_watches.
    @Test func withoutNoticesFilesAreFoundByLooking() {
        let plain = PlainStage()
        plain.stage.tailer = nil
        plain.begin()
        plain.stage.pass()
        plain.write("1")
        // Not drained: as if the kernel had dropped every notice.
        plain.stage.clock.advance(milliseconds: 31_000)
        let now = plain.stage.clock.nowNanoseconds
        _ = plain.stage.tailer?.pass(atNanoseconds: now, wallNanoseconds: now, looksAtAll: true)
        #expect(plain.texts == ["1"])
    }
}
