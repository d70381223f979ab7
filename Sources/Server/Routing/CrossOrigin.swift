internal import Telemetry
internal import Transport
internal import Wire

/// Which web pages of other hosts may read answers in a browser (cross-origin resource sharing, fetch.spec.whatwg.org).
/// None, unless the configuration names them: a page that an operator happens to visit is no client.
struct CrossOrigin: Sendable {
    /// Origins such as `https://grafana.example`, as a whole; nil for none.
    let allowed: RegularExpression?

    /// What a browser needs to see in the answer to a request from a page of `origin`.
    func fields(for request: ListenerRequest) -> [HTTPField] {
        guard let allowed, let origin = request.fields["origin"], allowed.matchesWhole(origin) else { return [] }
        return [
            HTTPField("Access-Control-Allow-Origin", origin),
            HTTPField("Access-Control-Allow-Headers", "Accept, Authorization, Content-Type, Origin"),
            HTTPField("Access-Control-Allow-Methods", "GET, POST, OPTIONS"),
            HTTPField("Access-Control-Expose-Headers", "Date"),
            HTTPField("Vary", "Origin"),
        ]
    }
}
