#!/usr/bin/env bash
# The agent of one Docker host in a container: run-agent.sh HOST:PORT TOKEN. A node that has joined needs no token:
# run-agent.sh HOST:PORT
set -euo pipefail
server=${1:?usage: run-agent.sh HOST:PORT [TOKEN]}
image=${VEDETTE_IMAGE:-vedette:latest}
data=(-v vedette-agent:/var/lib/vedette-agent)

if [ -n "${2:-}" ]; then
    printf '%s\n' "$2" | docker run --rm -i --network host "${data[@]}" "$image" \
        enroll --server "$server" --token - --node "$(hostname)" --data /var/lib/vedette-agent
fi
exec docker run -d --name vedette-agent --restart always --network host --pid host --cgroupns host \
    --read-only --cap-drop ALL --cap-add DAC_READ_SEARCH --cap-add SYS_PTRACE --cap-add SYSLOG \
    --security-opt no-new-privileges --memory 192m --cpus 0.5 --device /dev/kmsg:/dev/kmsg:r \
    "${data[@]}" \
    -v /sys/fs/cgroup:/sys/fs/cgroup:ro \
    -v /var/run/docker.sock:/var/run/docker.sock \
    -v /var/lib/docker:/var/lib/docker:ro,rslave \
    -v /var/log:/var/log:ro \
    "$image" agent --data /var/lib/vedette-agent --node "$(hostname)"
