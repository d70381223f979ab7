internal import Glibc

/// The C library's allocator, asked to return to the kernel what lies unused in its lists.
enum Allocator {
    private typealias Trim = @convention(c) (Int) -> CInt

    /// malloc_trim(3), looked up by name because the Glibc module does not show it; nil on another C library.
    private static let trim: Trim? = {
        guard let symbol = dlsym(dlopen(nil, RTLD_NOW), "malloc_trim") else { return nil }
        return unsafeBitCast(symbol, to: Trim.self)
    }()

    /// Returns free pages to the kernel.
    static func giveBack() { _ = trim?(0) }
}
