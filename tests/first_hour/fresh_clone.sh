#!/usr/bin/env bash
# The shortest path of README.md from a fresh clone of this repository: hack/demo --standalone, and its end.
set -euo pipefail
# shellcheck source=../../hack/lib/steps.sh
source "$(dirname "${BASH_SOURCE[0]}")/../../hack/lib/steps.sh"
dir=$(mktemp -d)
fail() { printf 'FAIL: %s\n' "$*" >&2; exit 1; }
offset=$((500 + $$ % 100))
export COHO_RUN_DIR=$dir/run COHO_KAFKA_PORT_OFFSET=$offset COHO_KAFKA_POD_ADDRESS='' COHO_STANDALONE_PORT=$((21000 + $$ % 10000))
unset COHO_STEP_TIMES           # a user's script says itself where its time went
export COHO_LOCK_HOLDER=$$ # ours is another run directory: it cannot get in the way of a demo that runs
clean_up() {
  "$dir/coho/hack/demo" down >/dev/null 2>&1 || true
  rm -rf "$dir"
}
trap clean_up EXIT

git clone -q "$COHO_ROOT" "$dir/coho"
cd "$dir/coho"
./hack/demo --standalone | tee "$dir/output"
grep -qE '^66\.249\.73\.135 +482$' "$dir/output" || fail "the demo does not print the busiest client"
grep -q '^ *SECONDS *STEP' "$dir/output" || fail "the demo does not say where its time went"

KAFKA=127.0.0.1:$((19092 + offset))
# shellcheck source=../../hack/lib/web-visits.sh
source hack/lib/web-visits.sh
check_visits_exact || fail "counts differ"
# Again: what is there is kept.
./hack/demo --standalone >"$dir/output" || { cat "$dir/output"; fail "a second run fails"; }
check_visits_exact || fail "counts differ after a second run"

./hack/demo down
left=$(pgrep -af -- "$dir" | grep -v "$0" || true)
[[ -z $left ]] || fail "left running: $left"
[[ ! -e $dir/run/standalone && ! -e $dir/run/kafka-$offset ]] || fail "left on disk: $(ls "$dir/run")"
