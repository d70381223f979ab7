internal import Synchronization
internal import Telemetry

/// The dictionaries of all agents, within one bound of memory. Thread-safe.
///
/// Forgetting one is always safe: the next batch of that agent is answered `redeclare`. A higher epoch replaces the lower
/// one of the same agent, whose spool is gone.
package final class SeriesDictionaries: Sendable {
    private struct Place {
        var epoch: UInt64
        var dictionary: SeriesDictionary
        /// The bytes it had when it was last looked at.
        var bytes: Int
        /// Counts uses: the lowest was used longest ago.
        var use: UInt64
    }

    private struct State {
        var places: [String: Place] = [:]
        var bytes = 0
        var uses: UInt64 = 0
    }

    private let bytesMaximum: Int
    private let state = Mutex(State())

    /// Keeps at most about `bytesMaximum` bytes, but always the dictionary used last.
    package init(bytesMaximum: Int = 512 << 20) {
        self.bytesMaximum = bytesMaximum
    }

    /// About how much memory all dictionaries hold.
    package var memoryBytes: Int { state.withLock { $0.bytes } }

    /// The dictionary of `agent` in `epoch`, a new one where there is none. A batch of an older epoch gets one of its own
    /// that nobody keeps.
    package func dictionary(agent: String, epoch: UInt64) -> SeriesDictionary {
        state.withLock { state in
            state.uses += 1
            if var place = state.places[agent], place.epoch >= epoch {
                guard place.epoch == epoch else { return SeriesDictionary() }
                let bytes = place.dictionary.memoryBytes
                state.bytes += bytes - place.bytes
                place.bytes = bytes
                place.use = state.uses
                state.places[agent] = place
                evict(keeping: agent, in: &state)
                return place.dictionary
            }
            let fresh = SeriesDictionary()
            let former = state.places.updateValue(
                Place(epoch: epoch, dictionary: fresh, bytes: 0, use: state.uses), forKey: agent)
            state.bytes -= former?.bytes ?? 0
            return fresh
        }
    }

    /// Forgets dictionaries, those used longest ago first, until about `bytes` are free; returns what was freed.
    package func releaseMemory(bytes: Int) -> Int {
        state.withLock { state in
            let before = state.bytes
            while before - state.bytes < bytes, forgetOldest(but: nil, in: &state) {}
            return before - state.bytes
        }
    }

    private func evict(keeping agent: String, in state: inout State) {
        while state.bytes > bytesMaximum, forgetOldest(but: agent, in: &state) {}
    }

    private func forgetOldest(but kept: String?, in state: inout State) -> Bool {
        let oldest = state.places.filter { $0.key != kept }.min { $0.value.use < $1.value.use }
        guard let oldest else { return false }
        state.places[oldest.key] = nil
        state.bytes -= oldest.value.bytes
        return true
    }
}
