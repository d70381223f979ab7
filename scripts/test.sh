#!/usr/bin/env bash
# Runs every test of an already built configuration, cheapest first, and says how long each part took.
set -uo pipefail
configuration=${1:-release}
cd "$(dirname "$0")/.."
export VEDETTE_BINARY=$PWD/.build/$configuration/vedette
failed=()

part() {
    local name=$1 start=$SECONDS
    shift
    printf '\n== %s\n' "$name"
    scripts/with-tools.sh swift test -c "$configuration" --skip-build "$@" || failed+=("$name")
    printf '== %s: %d s\n' "$name" $((SECONDS - start))
}

# Simulations keep both cores busy for seconds, and loopback peers have deadlines: they do not run side by side.
part "unit, tidy, simulation, conformance" --skip 'Scenarios|ServerTests|TransportTests|AgentTests'
part "loopback" --filter 'ServerTests|TransportTests'
part "host" --filter 'AgentTests'
part "scenarios" --no-parallel --filter Scenarios
if [ ${#failed[@]} -gt 0 ]; then
    printf '\nFAILED: %s\n' "${failed[*]}"
    exit 1
fi
printf '\nall parts passed in %d s\n' $SECONDS
