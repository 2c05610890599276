#!/usr/bin/env bash
# What a script began beside others tells how it went, even if a later process of the script got the same pid: in a long build
# the numbers come round.
set -euo pipefail
fail() { printf 'FAIL: %s\n' "$*" >&2; exit 1; }

if [[ ${1:-} != inside ]]; then
  # In a pid namespace one may say which number comes next.
  namespace=(unshare --user --map-root-user --pid --mount-proc --fork)
  "${namespace[@]}" true 2>/dev/null || { echo "no namespaces here"; exit 77; }
  for want in 0 3; do
    code=0
    "${namespace[@]}" "$0" inside "$want" || code=$?
    ((code == want)) || fail "a step that ended with $want is told to have ended with $code"
  done
  exit 0
fi

COHO_RUN_DIR=$(mktemp -d)
export COHO_RUN_DIR COHO_CACHE=$COHO_RUN_DIR/cache
trap 'rm -rf "$COHO_RUN_DIR"' EXIT
# shellcheck source=../../hack/lib/steps.sh
source "$(dirname "${BASH_SOURCE[0]}")/../../hack/lib/steps.sh"

begin "a step" bash -c "exit $2"
pid=${_begun["a step"]%% *}
is_no_process() { [[ ! -e /proc/$pid ]]; }
wait_until 10 "the step has ended" is_no_process
echo $((pid - 1)) >/proc/sys/kernel/ns_last_pid
bash -c 'echo $$' >"$COHO_RUN_DIR/pid"
[[ $(cat "$COHO_RUN_DIR/pid") == "$pid" ]] || fail "the next process is not $pid"
finish "a step"
