#!/usr/bin/env bash
# Installs, upgrades, removes and purges the Debian packages in a throw-away copy of this host's root (an overlay in a
# mount namespace of its own, then chroot): test-deb.sh FOLDER-WITH-PACKAGES. Nothing of it reaches the host.
# Exit status 77 with a reason where that cannot be done here.
set -euo pipefail
skip() { echo "skipped: $*"; exit 77; }

if [ "${1:-}" != --inside ]; then
    packages=$(cd "${1:?usage: test-deb.sh FOLDER}" && pwd)
    [ "$(id -u)" = 0 ] || skip "only root may make a mount namespace"
    [ -e /etc/debian_version ] && command -v dpkg deb-systemd-helper >/dev/null || skip "this is no Debian with init-system-helpers"
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    unshare -m true 2>/dev/null || skip "no mount namespaces here"
    unshare -m "$0" --inside "$work" "$packages"
    exit
fi

work=$2 packages=$3
mount -t tmpfs tmpfs "$work" || skip "no tmpfs here"
mkdir -p "$work"/{upper,tmp,root}
mount -t overlay overlay -o "lowerdir=/,upperdir=$work/upper,workdir=$work/tmp" "$work/root" 2>/dev/null || skip "no overlay file system over / here"
root=$work/root
mkdir -p "$root/packages" "$root/dev" "$root/proc"
cp "$packages"/*.deb "$root/packages"
mount --bind /dev "$root/dev"
mount -t proc proc "$root/proc"

inside() { chroot "$root" env DEBIAN_FRONTEND=noninteractive LC_ALL=C PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@"; }
fail() { echo "FAILED: $*"; exit 1; }
has() { inside test -e "$1" || fail "$1 is missing ($2)"; }
hasnot() { inside test ! -e "$1" || fail "$1 is still there ($2)"; }

inside sh -c 'dpkg -i /packages/*.deb' || fail "installing"
inside vedette --version >/dev/null || fail "the binary does not start"
for service in agent server; do
    has "/lib/systemd/system/vedette-$service.service" "installed"
    has "/etc/vedette/$service.yml" "installed"
    inside vedette config check "/etc/vedette/$service.yml" >/dev/null || fail "$service.yml is not read"
    if inside sh -c 'command -v systemd-analyze' >/dev/null; then
        inside systemd-analyze verify "/lib/systemd/system/vedette-$service.service" 2>&1 | grep -i vedette && fail "systemd finds fault with vedette-$service.service"
    fi
    inside test -L "/etc/systemd/system/multi-user.target.wants/vedette-$service.service" || fail "vedette-$service is not enabled"
done
[ "$(inside stat -c '%U %a' /var/lib/vedette)" = "vedette 750" ] || fail "/var/lib/vedette: $(inside stat -c '%U %a' /var/lib/vedette)"
[ "$(inside stat -c '%U %a' /var/lib/vedette-agent)" = "vedette-agent 750" ] || fail "/var/lib/vedette-agent"
[ -z "$(inside find /usr/bin/vedette /lib/systemd/system/vedette-agent.service -perm /022)" ] || fail "files that others may write"

# What an operator changed is kept by an upgrade.
echo '# changed' >> "$root/etc/vedette/agent.yml"
inside sh -c 'dpkg -i --force-confold /packages/*.deb' >/dev/null || fail "installing over itself"
grep -q '# changed' "$root/etc/vedette/agent.yml" || fail "the upgrade took a changed file"

# Removing keeps configuration and data; purging takes the configuration, and the data only when asked.
inside touch /var/lib/vedette/stored /var/lib/vedette-agent/spooled
inside dpkg --remove vedette-agent vedette-server vedette || fail "removing"
hasnot /usr/bin/vedette "removed"
hasnot /lib/systemd/system/vedette-agent.service "removed"
has /etc/vedette/agent.yml "removed"
has /var/lib/vedette/stored "removed"
inside touch /var/lib/vedette-agent/remove-on-purge
inside dpkg --purge vedette-agent vedette-server vedette || fail "purging"
hasnot /etc/vedette "purged"
hasnot /var/lib/vedette-agent "purged with remove-on-purge"
has /var/lib/vedette/stored "purged, but nobody asked for the data to go"
hasnot /etc/systemd/system/multi-user.target.wants/vedette-agent.service "purged"
hasnot /etc/systemd/system/vedette-agent.service "purged"
inside dpkg -l 'vedette*' 2>/dev/null | grep -E '^[a-z][a-z] ' | grep -v '^un' && fail "dpkg still knows a package"
echo "installed, upgraded, removed and purged cleanly"
