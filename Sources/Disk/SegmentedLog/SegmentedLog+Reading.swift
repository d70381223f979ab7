/// Reading what a log holds, on its own thread or on another.
extension SegmentedLog {
    /// Hands the frames from `position` on to `body`, in order and each once, until it returns false or the log ends.
    /// As `LogReader` says.
    package func read(
        from position: LogPosition, _ body: (LogFrame) throws -> Bool
    ) throws -> LogReplay {
        try reader.read(extent(endingAt: active?.end), from: position, body)
    }

    /// What is durable by now, for a reader on another thread.
    package func extent() -> LogExtent { extent(endingAt: active?.synced) }

    private func extent(endingAt place: ActiveSegment.Place?) -> LogExtent {
        var all = segments.map { LogExtent.Segment(header: $0.header, path: $0.path, active: nil) }
        if let active, let place, let last = segments.last {
            all[all.count - 1] = LogExtent.Segment(
                header: last.header, path: last.path, active: (active.file, place.offset))
        }
        return LogExtent(
            storage: storage, segments: all, first: firstPosition, end: place?.position ?? endPosition)
    }
}
