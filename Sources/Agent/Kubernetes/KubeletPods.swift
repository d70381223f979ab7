internal import Telemetry
internal import Wire

/// Asks the kubelet of this node for its pods while the API server does not tell of them: after a cut of the network,
/// on nodes whose agents may not ask the API, and in front of its first answer.
struct KubeletPods: Sendable {
    let api: KubernetesAPI
    let view: ClusterView
    let notices: Notices
    var everyMilliseconds = 15_000

    /// A kubelet tells of all its pods in one answer.
    private static let answerBytesMaximum = 48 << 20
    private static let subject = "kubelet"

    /// Asks until its task is cancelled.
    func run() async {
        var backoff = Backoff(firstMilliseconds: everyMilliseconds, lastMilliseconds: 8 * everyMilliseconds)
        var generator = SystemRandomNumberGenerator()
        while !Task.isCancelled {
            var pause = everyMilliseconds
            if !view.isAPIFresh {
                do {
                    view.setKubelet(try await pods())
                    notices.settle(Self.subject)
                    backoff.reset()
                } catch {
                    guard !Task.isCancelled else { return }
                    say(error)
                    pause = backoff.next(using: &generator)
                }
            }
            try? await Task.sleep(for: .milliseconds(pause))
        }
    }

    /// The pods, by uid.
    func pods() async throws -> [String: PodDescription] {
        let body = try await api.get("/pods", bytesMaximum: Self.answerBytesMaximum)
        var pods: [String: PodDescription] = [:]
        do {
            _ = try TrimmedJSON.list(body) { json in
                if let pod = PodDescription(json) { pods[pod.uid] = pod }
            }
        } catch {
            throw KubernetesFailure.unreadable("\(error)")
        }
        return pods
    }

    private func say(_ error: any Error) {
        var advice = ""
        if case .forbidden? = error as? KubernetesFailure {
            advice =
                "; the agent's ClusterRole needs get of nodes/pods, or with kubelets before 1.33 of nodes/proxy"
        }
        if "\(error)".contains("CERTIFICATE_VERIFY_FAILED") {
            advice = "; a kubelet that signed its certificate itself is believed by agent.kubernetes.kubelet_ca_file"
        }
        notices.say(
            .warning, about: Self.subject,
            "the kubelet at \(api.endpoint) does not tell of its pods (\(error)); it is asked again\(advice)")
    }
}
