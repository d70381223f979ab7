#!/usr/bin/env bash
# Installs what a build or the tests need on Debian 12. `build`: C libraries, and what a toolchain lacks that was only
# unpacked. `tests`: real container engines and a user-mode kernel, unpacked into a cache folder and never installed, so
# that no service starts by itself.
set -euo pipefail

what=${1:?usage: install.sh build|tests}
libraries=(libre2-dev liblz4-dev libsnappy-dev libzstd-dev zlib1g-dev)
# Swift's own needs: its compiler and package manager do not start without the first, nor link without the second line.
libraries+=(libncurses6 libsqlite3-0 libxml2 libcurl4 tzdata git ca-certificates)
libraries+=(g++ libc6-dev)
tools=(docker.io containerd runc tini busybox-static user-mode-linux prometheus prometheus-node-exporter)
cache=${VEDETTE_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/vedette/tools}

say() { printf 'install: %s\n' "$*"; }

apt() {
    local root=(env DEBIAN_FRONTEND=noninteractive)
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null || { say "packages can be installed by root alone, and there is no sudo: apt-get $*"; exit 1; }
        root=(sudo "${root[@]}")
    fi
    "${root[@]}" apt-get "$@"
}

# Package lists are fetched at most once a call, and only when something is missing.
updated=0
update_lists() {
    [ "$updated" = 1 ] && return
    apt update -qq
    updated=1
}

command -v swift >/dev/null || { say "no swift in PATH: install a Swift 6.3 toolchain (swift.org) first"; exit 1; }

missing=()
for package in "${libraries[@]}"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
    say "packages: ${missing[*]}"
    update_lists
    apt install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi
if ! version=$(swift --version 2>&1) || ! grep -qE 'Swift version (6\.([3-9]|[1-9][0-9])|[7-9])' <<<"$version"; then
    say "Swift 6.3 or newer is needed; \`swift --version\` says: ${version%%$'\n'*}"
    exit 1
fi
[ "$what" = tests ] || exit 0

# What the unpacked programs link against is installed: libraries start nothing.
unpack() {
    local package=$1
    [ -e "$cache/.$package" ] && return
    say "unpacking $package into $cache"
    update_lists
    local folder
    folder=$(mktemp -d)
    # _apt must be able to write here, else apt-get warns and downloads as root.
    chmod 777 "$folder"
    (cd "$folder" && apt-get download -qq "$package" && dpkg-deb -x ./*.deb "$cache")
    rm -rf "$folder"
    touch "$cache/.$package"
}
mkdir -p "$cache"
for package in "${tools[@]}"; do unpack "$package"; done

needed=()
for program in "$cache"/usr/bin/dockerd "$cache"/usr/sbin/dockerd "$cache"/usr/bin/containerd "$cache"/usr/sbin/runc; do
    [ -e "$program" ] || continue
    while read -r library; do needed+=("$library"); done < <(ldd "$program" 2>/dev/null | awk '/not found/ {print $1}')
done
if [ ${#needed[@]} -gt 0 ]; then
    say "libraries of the unpacked programs: ${needed[*]}"
    update_lists
    apt install -y -qq --no-install-recommends libdevmapper1.02.1 libseccomp2 libsystemd0 libnftables1 >/dev/null
fi
for program in iptables mkfs.ext4 mount; do
    command -v "$program" >/dev/null && continue
    update_lists
    apt install -y -qq --no-install-recommends iptables e2fsprogs mount >/dev/null
done

# What others wrote to send lines and to ask, for the scenarios that they play: syslog-ng, unpacked like the engines, and
# Python clients, each in an environment of its own. Without Python their scenarios are skipped with that reason.
for package in libivykis0 libpcre3 syslog-ng-core syslog-ng-mod-http; do unpack "$package"; done

python_clients() {
    local folder=$1
    shift
    [ -e "$cache/.$1" ] && return
    command -v python3 >/dev/null || return 0
    python3 -c 'import ensurepip' 2>/dev/null || {
        update_lists
        apt install -y -qq --no-install-recommends python3-venv >/dev/null
    }
    say "installing $* into $cache/$folder"
    rm -rf "${cache:?}/$folder"
    if python3 -m venv "$cache/$folder" && "$cache/$folder/bin/pip" install -q "$@"; then
        touch "$cache/.$1"
    else
        say "no Python client $1: its scenario is skipped"
    fi
}
python_clients python prometheus-api-client==0.7.2
python_clients loki-client python-logging-loki==0.3.1 websocket-client==1.8.0
