internal import Telemetry

/// Objects of Kubernetes without what nobody here asks for: a pod of thirty kilobytes is mostly managed fields,
/// volumes and environments, and a node's list of two hundred of them must not cost fifty megabytes as trees.
enum TrimmedJSON {
    /// Members that are passed over wherever they are, but in maps whose keys people choose.
    private static let dropped: Set<String> = [
        "affinity", "args", "command", "env", "envFrom", "images", "lifecycle", "livenessProbe", "managedFields",
        "readinessProbe", "securityContext", "startupProbe", "tolerations", "volumeDevices", "volumeMounts", "volumes",
        "volumesAttached", "volumesInUse",
    ]
    /// Maps whose keys people choose: what is among them is theirs.
    private static let free: Set<String> = ["annotations", "labels", "capacity", "allocatable", "limits", "requests"]
    /// Of annotations only these are kept: others hold whole objects.
    private static let annotations: Set<String> = ["kubernetes.io/config.hash", "kubernetes.io/config.mirror"]

    /// Reads the scanner's next value.
    static func value(from scanner: inout JSONScanner) throws(ByteError) -> JSONValue {
        switch try scanner.peek() {
        case .object: return .object(try members(from: &scanner))
        case .array:
            var elements: [JSONValue] = []
            try scanner.enterArray()
            while try scanner.nextElement() { elements.append(try value(from: &scanner)) }
            return .array(elements)
        default: return try JSONValue(from: &scanner)
        }
    }

    private static func members(from scanner: inout JSONScanner) throws(ByteError) -> [JSONValue.Member] {
        var members: [JSONValue.Member] = []
        try scanner.enterObject()
        while let key = try scanner.nextKey()?.string {
            if dropped.contains(key) {
                _ = try scanner.skipValue()
            } else if key == "annotations", try scanner.peek() == .object {
                let kept = try JSONValue(from: &scanner).members?.filter { annotations.contains($0.key) } ?? []
                members.append(JSONValue.Member(key, .object(kept)))
            } else if free.contains(key) {
                members.append(JSONValue.Member(key, try JSONValue(from: &scanner)))
            } else {
                members.append(JSONValue.Member(key, try value(from: &scanner)))
            }
        }
        return members
    }

    /// Reads a list (`PodList`, `NodeList`): each item on its own, so that a whole list is never a tree. An item that
    /// `take` does not understand is its business.
    static func list(_ bytes: [UInt8], take: (JSONValue) -> Void) throws -> (version: String, token: String) {
        try bytes.withUnsafeBytes { raw in
            var scanner = JSONScanner(raw)
            var metadata: JSONValue?
            try scanner.enterObject()
            while let key = try scanner.nextKey()?.string {
                if key == "items", try scanner.peek() == .array {
                    try scanner.enterArray()
                    while try scanner.nextElement() { take(try value(from: &scanner)) }
                } else if key == "metadata" {
                    metadata = try value(from: &scanner)
                } else {
                    _ = try scanner.skipValue()
                }
            }
            try scanner.finish()
            return (metadata?["resourceVersion"]?.text ?? "", metadata?["continue"]?.text ?? "")
        }
    }

    /// Reads one object.
    static func object(_ bytes: [UInt8]) throws -> JSONValue {
        try bytes.withUnsafeBytes { raw in
            var scanner = JSONScanner(raw)
            let value = try value(from: &scanner)
            try scanner.finish()
            return value
        }
    }
}
