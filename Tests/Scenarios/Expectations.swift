internal import ScenarioSupport
internal import Testing

/// Waits for an event and records an issue when it does not happen, with what was seen instead. Errors of `condition`
/// mean "not yet".
@discardableResult
func expectSoon(
    _ what: String, seconds: Double = 10, at place: SourceLocation = #_sourceLocation,
    seen: () async throws -> String = { "" }, _ condition: () async throws -> Bool
) async -> Bool {
    var last: (any Error)?
    let happened = await eventually(seconds: seconds) {
        do {
            return try await condition()
        } catch {
            last = error
            return false
        }
    }
    if !happened {
        let sight = (try? await seen()) ?? ""
        let words = [last.map { "last error: \($0)" }, sight.isEmpty ? nil : "seen: \(sight)"].compactMap { $0 }
        let text = "within \(seconds) s it did not happen that \(what)\n\(words.joined(separator: "\n"))"
        Issue.record("\(text)", sourceLocation: place)
    }
    return happened
}
