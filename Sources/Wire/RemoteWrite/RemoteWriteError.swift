/// Why a remote-write request was not taken. The status is 400: sent again it would be refused again.
package struct RemoteWriteError: Error, Equatable, CustomStringConvertible {
    package let description: String
}
