/// What this binary calls itself.
enum ProductVersion {
    /// Semantic version; the first release is 0.1.0.
    static let text = "0.1.0-dev"
}
