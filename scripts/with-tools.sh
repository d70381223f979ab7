#!/usr/bin/env bash
# Runs a command with the unpacked engines and the user-mode kernel in front of PATH.
set -euo pipefail
cache=${VEDETTE_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/vedette/tools}
export VEDETTE_TOOLS=$cache
export PATH=$cache/usr/sbin:$cache/usr/bin:$cache/sbin:$cache/bin:$PATH:/usr/sbin:/sbin
exec "$@"
