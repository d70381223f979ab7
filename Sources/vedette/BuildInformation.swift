/// What this binary calls itself.
enum BuildInformation {
    /// Semantic version; the first release is 0.1.0.
    static let version = "0.1.0-dev"
}
