#!/usr/bin/env bash
# Builds the Debian packages from a built binary, with dpkg-deb alone and without network:
#   make-deb.sh BINARY OUTPUT-FOLDER
# vedette is the one binary; vedette-agent and vedette-server are the two services that run it, each with its user,
# configuration and unit. The same binary gives the same packages, byte by byte.
set -euo pipefail
cd "$(dirname "$0")/.."
binary=${1:?usage: make-deb.sh BINARY OUTPUT-FOLDER}
output=${2:?usage: make-deb.sh BINARY OUTPUT-FOLDER}
command -v dpkg-deb >/dev/null || { echo "make-deb: there is no dpkg-deb here (package dpkg)" >&2; exit 1; }

# 0.1.0-dev comes before 0.1.0 for dpkg when it is written with a tilde.
version=$("$binary" --version | tr '-' '~')
architecture=$(dpkg --print-architecture)
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 1700000000)}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$output"

# The newest symbol of glibc that the binary asks for says which glibc it needs.
glibc=$(objdump -T "$binary" 2>/dev/null | grep -o 'GLIBC_[0-9.]*' | sort -Vu | tail -1 | cut -d_ -f2)

control() { # NAME DEPENDS SUMMARY < description
    mkdir -p "$work/$1/DEBIAN"
    {
        printf 'Package: %s\nVersion: %s\nArchitecture: %s\n' "$1" "$version" "$architecture"
        printf 'Maintainer: Vedette <root@localhost>\nSection: admin\nPriority: optional\nDepends: %s\n' "$2"
        printf 'Installed-Size: %s\n' "$(du -sk --exclude DEBIAN "$work/$1" | cut -f1)"
        printf 'Description: %s\n' "$3"
        sed 's/^/ /'
    } > "$work/$1/DEBIAN/control"
}

documents() { # NAME
    install -D -m 644 LICENSE "$work/$1/usr/share/doc/$1/copyright"
    gzip -9n < CHANGELOG.md > "$work/changelog.gz"
    install -D -m 644 "$work/changelog.gz" "$work/$1/usr/share/doc/$1/changelog.gz"
}

build() { # NAME
    find "$work/$1" -newermt "@$SOURCE_DATE_EPOCH" -exec touch -hd "@$SOURCE_DATE_EPOCH" {} +
    dpkg-deb --root-owner-group -Zxz --build "$work/$1" "$output" >/dev/null
    printf '%s\n' "$output/${1}_${version}_${architecture}.deb"
}

service() { # NAME USER DATA-FOLDER: the service of one of the two packages
    local name=$1 script
    install -D -m 644 "deploy/systemd/$name.service" "$work/$name/lib/systemd/system/$name.service"
    mkdir -p "$work/$name/DEBIAN"
    (cd "$work/$name" && find etc -type f | sort | sed 's|^|/|') > "$work/$name/DEBIAN/conffiles"
    for script in postinst prerm postrm; do
        sed -e "s|@NAME@|$name|g; s|@USER@|$2|g; s|@DATA@|$3|g" "deploy/deb/$script" > "$work/$name/DEBIAN/$script"
        chmod 755 "$work/$name/DEBIAN/$script"
    done
}

install -D -m 755 "$binary" "$work/vedette/usr/bin/vedette"
strip --strip-unneeded "$work/vedette/usr/bin/vedette" 2>/dev/null || true
for shell in bash zsh fish; do
    case $shell in
        bash) path=usr/share/bash-completion/completions/vedette ;;
        zsh) path=usr/share/zsh/vendor-completions/_vedette ;;
        fish) path=usr/share/fish/vendor_completions.d/vedette.fish ;;
    esac
    mkdir -p "$work/vedette/$(dirname "$path")"
    "$binary" --generate-completion-script "$shell" > "$work/vedette/$path"
done
documents vedette
control vedette "libc6 (>= ${glibc:-2.36}), libstdc++6 (>= 12), libgcc-s1" "observability for container clouds: one binary" <<'TEXT'
Metrics, logs, alerts and healing. This package is the program; vedette-agent
runs it on every node, vedette-server where data is stored and asked for.
TEXT
build vedette

install -D -m 644 deploy/agent.yml "$work/vedette-agent/etc/vedette/agent.yml"
service vedette-agent vedette-agent /var/lib/vedette-agent
documents vedette-agent
control vedette-agent "vedette (= $version), adduser, init-system-helpers" "observability for container clouds: the agent of a node" <<'TEXT'
Reads metrics, logs and events of this host and its containers and sends them
to a Vedette server, which it joins with `vedette enroll`. Runs as a user of
its own with three capabilities; listens on nothing.
TEXT
build vedette-agent

install -D -m 644 deploy/server.yml "$work/vedette-server/etc/vedette/server.yml"
mkdir -p "$work/vedette-server/etc/vedette/rules"
service vedette-server vedette /var/lib/vedette
documents vedette-server
control vedette-server "vedette (= $version), adduser, init-system-helpers" "observability for container clouds: the server" <<'TEXT'
Stores metrics and logs of Vedette agents, answers PromQL and LogQL, raises
alerts and heals. Listens on 127.0.0.1:9797 until it is told otherwise.
TEXT
build vedette-server
