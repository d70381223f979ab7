internal import Synchronization
internal import Telemetry

/// The dictionaries of all agents, within one bound of memory. Thread-safe.
///
/// Forgetting one is always safe: the next batch of that agent is answered `redeclare`. An agent has at most two:
/// while it sends what an earlier epoch left in its spool, the batches of both epochs take turns.
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
        var places: [String: [Place]] = [:]
        var bytes = 0
        var uses: UInt64 = 0
    }

    /// The most epochs of one agent that are kept.
    private static let epochsMaximum = 2

    private let bytesMaximum: Int
    private let state = Mutex(State())

    /// Keeps at most about `bytesMaximum` bytes, but always the dictionaries of the agent that asked last.
    package init(bytesMaximum: Int = 512 << 20) {
        self.bytesMaximum = bytesMaximum
    }

    /// About how much memory all dictionaries hold.
    package var memoryBytes: Int { state.withLock { $0.bytes } }

    /// The dictionary of `agent` in `epoch`, a new one where there is none.
    package func dictionary(agent: String, epoch: UInt64) -> SeriesDictionary {
        state.withLock { state in
            state.uses += 1
            var places = state.places[agent] ?? []
            let dictionary: SeriesDictionary
            if let index = places.firstIndex(where: { $0.epoch == epoch }) {
                dictionary = places[index].dictionary
                let bytes = dictionary.memoryBytes
                state.bytes += bytes - places[index].bytes
                places[index].bytes = bytes
                places[index].use = state.uses
            } else {
                dictionary = SeriesDictionary()
                places.append(Place(epoch: epoch, dictionary: dictionary, bytes: 0, use: state.uses))
            }
            if places.count > SeriesDictionaries.epochsMaximum {
                let oldest = places.indices.min { places[$0].use < places[$1].use } ?? places.startIndex
                state.bytes -= places.remove(at: oldest).bytes
            }
            state.places[agent] = places
            while state.bytes > bytesMaximum, forgetOldest(but: agent, in: &state) {}
            return dictionary
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

    /// Forgets the agent whose last batch is the longest ago.
    private func forgetOldest(but kept: String?, in state: inout State) -> Bool {
        let oldest = state.places.filter { $0.key != kept }
            .min { ($0.value.map(\.use).max() ?? 0) < ($1.value.map(\.use).max() ?? 0) }
        guard let oldest else { return false }
        state.places[oldest.key] = nil
        state.bytes -= oldest.value.reduce(0) { $0 + $1.bytes }
        return true
    }
}
