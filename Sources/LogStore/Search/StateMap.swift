/// A table from (something, state of an automaton) to a number, made to be looked up a hundred thousand times a query:
/// memory of its own, which its owner gives back, and none of the checks that a class' variables cost.
struct StateMap {
    private struct Storage {
        var keys: UnsafeMutablePointer<UInt64>
        var values: UnsafeMutablePointer<Int32>
        var mask: Int
        var count = 0

        init(capacity: Int) {
            keys = .allocate(capacity: capacity)
            keys.initialize(repeating: 0, count: capacity)
            values = .allocate(capacity: capacity)
            mask = capacity - 1
        }

        func deallocate() {
            keys.deallocate()
            values.deallocate()
        }
    }

    private let storage: UnsafeMutablePointer<Storage>

    /// An empty table. `capacity` is a power of two.
    init(capacity: Int = 256) {
        storage = .allocate(capacity: 1)
        storage.initialize(to: Storage(capacity: capacity))
    }

    /// Gives the memory back; nothing may be called afterwards.
    func deallocate() {
        storage.pointee.deallocate()
        storage.deallocate()
    }

    /// Zero is a free place.
    @inline(__always)
    private static func key(_ what: Int, _ state: Int32) -> UInt64 {
        UInt64(UInt32(truncatingIfNeeded: what)) << 32 | UInt64(UInt32(bitPattern: state)) + 1
    }

    @inline(__always)
    private func place(of key: UInt64) -> Int {
        let (keys, mask) = (storage.pointee.keys, storage.pointee.mask)
        var place = Int(truncatingIfNeeded: (key &* 0x9e37_79b9_7f4a_7c15) >> 40) & mask
        while keys[place] != 0, keys[place] != key { place = (place + 1) & mask }
        return place
    }

    /// What is known; nil when nothing is.
    @inline(__always)
    subscript(what: Int, state: Int32) -> Int32? {
        let key = StateMap.key(what, state)
        let place = place(of: key)
        return storage.pointee.keys[place] == key ? storage.pointee.values[place] : nil
    }

    /// Keeps a number.
    func set(_ what: Int, _ state: Int32, _ value: Int32) {
        let key = StateMap.key(what, state)
        let place = place(of: key)
        if storage.pointee.keys[place] == 0 {
            storage.pointee.keys[place] = key
            storage.pointee.count += 1
        }
        storage.pointee.values[place] = value
        if storage.pointee.count * 2 > storage.pointee.mask { grow() }
    }

    private func grow() {
        let old = storage.pointee
        storage.pointee = Storage(capacity: (old.mask + 1) * 2)
        storage.pointee.count = old.count
        for index in 0...old.mask where old.keys[index] != 0 {
            let place = place(of: old.keys[index])
            storage.pointee.keys[place] = old.keys[index]
            storage.pointee.values[place] = old.values[index]
        }
        old.deallocate()
    }

    /// Forgets everything.
    func removeAll() {
        guard storage.pointee.count > 0 else { return }
        storage.pointee.count = 0
        storage.pointee.keys.update(repeating: 0, count: storage.pointee.mask + 1)
    }
}
