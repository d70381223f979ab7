/// Reads a file of `key value` lines into series, one per key; a key that the kernel does not print has no sample.
struct KeyedSeries {
    /// One key of the file and its series.
    struct Field {
        let key: String
        let slot: TargetSamples.Slot
        /// How many of the file's units make one of the metric's.
        let unitsPerOne: Double

        /// The series `slot` has the value of `key` divided by `unitsPerOne`.
        init(_ key: String, _ slot: TargetSamples.Slot, unitsPerOne: Double = 1) {
            self.key = key
            self.slot = slot
            self.unitsPerOne = unitsPerOne
        }
    }

    let file: KernelFile
    private var fields: KeyedFields
    private let series: [Field]
    /// For each series, the place of its key: several series may show one key.
    private let places: [Int]

    /// Reads `series`, of at most 64 keys, best in the order of the file.
    init(_ file: KernelFile, _ series: [Field]) {
        self.file = file
        self.series = series
        var keys: [String] = []
        places = series.map { field in
            if let known = keys.firstIndex(of: field.key) { return known }
            keys.append(field.key)
            return keys.count - 1
        }
        fields = KeyedFields(keys)
    }

    /// What series `index` had in the text that was read last, in the file's unit; 0 when it was absent.
    func value(_ index: Int) -> UInt64 { fields.values[places[index]] }

    /// Reads the file and sets what it has; false when it could not be read.
    @discardableResult
    mutating func collect(_ context: CollectionContext, into samples: TargetSamples) -> Bool {
        guard context.read(file, { fields.parse($0) }) != nil else { return false }
        for index in series.indices where fields.has(places[index]) {
            let value = Double(fields.values[places[index]])
            samples.set(series[index].slot, series[index].unitsPerOne == 1 ? value : value / series[index].unitsPerOne)
        }
        return true
    }
}
