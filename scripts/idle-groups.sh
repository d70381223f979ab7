#!/usr/bin/env bash
# Makes N cgroups as Docker names them, each with one sleeping process, or removes them: many containers for measuring the
# agent where a real engine would take too long. Works on cgroup v1 and v2; needs root. Usage: idle-groups.sh up N | down
set -euo pipefail

what=${1:?usage: idle-groups.sh up N | down}
mark=$(printf 'd0%.0s' {1..28})
# The v2 hierarchy beside v1 ones has no controllers, and is entered all the same.
mapfile -t roots < <(awk '$3 == "cgroup" || $3 == "cgroup2" {print $2}' /proc/mounts)

down() {
    for root in "${roots[@]}"; do
        for group in "$root"/docker/"$mark"*; do
            [ -d "$group" ] || continue
            while read -r process; do kill -9 "$process" 2>/dev/null || true; done <"$group/cgroup.procs"
        done
    done
    for root in "${roots[@]}"; do
        for group in "$root"/docker/"$mark"*; do
            [ -d "$group" ] || continue
            for _ in 1 2 3 4 5; do rmdir "$group" 2>/dev/null && break || sleep 0.1; done
        done
    done
}

up() {
    for root in "${roots[@]}"; do
        mkdir -p "$root/docker" 2>/dev/null || continue
        if [ -w "$root/cgroup.subtree_control" ]; then
            for controller in $(cat "$root/cgroup.controllers"); do
                echo "+$controller" >"$root/cgroup.subtree_control" 2>/dev/null || true
                echo "+$controller" >"$root/docker/cgroup.subtree_control" 2>/dev/null || true
            done
        fi
    done
    for number in $(seq "$1"); do
        id=$mark$(printf '%08x' "$number")
        sleep 86400 &
        for root in "${roots[@]}"; do
            mkdir "$root/docker/$id" 2>/dev/null || continue
            echo $! >"$root/docker/$id/cgroup.procs" 2>/dev/null || true
        done
    done
}

case $what in
up) up "${2:?how many}" ;;
down) down ;;
*) echo "usage: idle-groups.sh up N | down" >&2; exit 64 ;;
esac
