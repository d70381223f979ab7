/// Room for arrays with one element per series.
extension Array {
    /// Appends; where there is no room, room for an eighth more is made. What is held once per series must not double
    /// for the sake of one more: half of it would be empty for good.
    mutating func appendGradually(_ element: Element) {
        makeRoomGradually(for: count + 1)
        append(element)
    }

    /// Room for so many elements; what has grown before gets room for an eighth more.
    mutating func makeRoomGradually(for count: Int) {
        if count > capacity { reserveCapacity(isEmpty ? count : count + count / 8 + 4) }
    }
}
