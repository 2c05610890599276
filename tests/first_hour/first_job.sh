#!/usr/bin/env bash
# docs/first-job.md, executed as it stands, but for the ports: the SDK alone is installed, the job of README.md is built out of tree, two
# workers run, one is killed with SIGKILL and comes home, both are stopped. Every count is there exactly once.
set -euo pipefail
# shellcheck source=../../hack/lib/steps.sh
source "$(dirname "${BASH_SOURCE[0]}")/../../hack/lib/steps.sh"
# shellcheck source=lib.sh
source "$COHO_ROOT/tests/first_hour/lib.sh"
dir=$(mktemp -d)
fail() { printf 'FAIL: %s\n' "$*" >&2; exit 1; }

# A home, a broker and ports of its own: whoever runs tests may be at the same page.
offset=$((400 + $$ % 100)) port=$((20000 + $$ % 10000))
export HOME=$dir COHO_RUN_DIR=$dir/run COHO_KAFKA_PORT_OFFSET=$offset COHO_KAFKA_POD_ADDRESS=''
clean_up() {
  local pid
  for pid in $(pgrep -f -- "$dir/words/build/my-worker|^./build/my-worker .*127.0.0.1:$((19092 + offset))"); do kill -9 "$pid" || true; done
  "$COHO_ROOT/hack/kafka" down --fresh >/dev/null || true
  rm -rf "$dir"
}
trap clean_up EXIT

readme_job_is_the_example "$dir/readme" || fail "README.md"
blocks "$COHO_ROOT/docs/first-job.md" "$dir/blocks"
{
  printf 'set -euo pipefail\ncd %q\n' "$COHO_ROOT"
  sed -e "s/19092/$((19092 + offset))/g" -e "s/--bootstrap-servers 127.0.0.1:[0-9]* 2>worker-0/--http-address 127.0.0.1:8080 &/" \
    -e "s/127.0.0.1:8080/127.0.0.1:$port/g" -e "s/127.0.0.1:8081/127.0.0.1:$((port + 1))/g" "$dir"/blocks/*.sh
} >"$dir/page.sh"
timeout 1200 bash "$dir/page.sh" >"$dir/output" 2>&1 || {
  cat "$dir/output"
  tail -n 20 "$dir"/words/worker-*.log || true
  fail "a command of docs/first-job.md failed"
}
cat "$dir/output"

says() { grep -qE -- "$1" "$dir/output" || fail "the page's commands say no \"$1\""; }
says '^ok: 2 tasks run'
says '^salmon 3$'
says '"state": "Running"'
says 'worker ended, everything is committed'
# The last look at the topic: all counts of both rounds, each once.
counts=$(grep -E '^(salmon|trout|char) [0-9]+$' "$dir/output" | tail -n 8 | sort)
want=$(printf '%s\n' 'char 1' 'char 2' 'salmon 1' 'salmon 2' 'salmon 3' 'salmon 4' 'trout 1' 'trout 2')
[[ $counts == "$want" ]] || fail "counts are $counts, expected $want"
for worker in 0 1; do
  [[ -d $dir/words/coho-state/default.words/worker-$worker/stores ]] || fail "worker $worker has no state where the page says"
done
