#!/usr/bin/env bash
# kill -9 of a standalone worker at random points of the stream, 20 times, on a real broker. ExactlyOnce: every running count of every
# client exactly once. AtLeastOnce: nothing lost. In both, only what lies behind the marker is replayed, and nothing is wiped.
#   kill_standalone_workers.sh ExactlyOnce|AtLeastOnce
set -euo pipefail
# shellcheck source=../../hack/lib/steps.sh
source "$(dirname "${BASH_SOURCE[0]}")/../../hack/lib/steps.sh"
KAFKA=${COHO_KAFKA:-127.0.0.1:19092}
# shellcheck source=../../hack/lib/web-visits.sh
source "$COHO_ROOT/hack/lib/web-visits.sh"

guarantee=$1
worker=${COHO_WORKER:-$COHO_ROOT/build/release/worker/coho-worker}
seed=${COHO_SEED:-$RANDOM} kills=${COHO_KILLS:-20} rounds=4
echo "seed $seed (COHO_SEED=$seed replays the order of kills)"
RANDOM=$seed
fail() { printf 'FAIL: %s\n' "$*" >&2; tail -5 "$dir/log" >&2; exit 1; }

run=chaos-$$-${guarantee,,}
dir=$(mktemp -d)
port=$((20000 + $$ % 10000))
loader=''
stop() {
  [[ -z $loader ]] || kill "$loader" 2>/dev/null || true
  stop_process "$dir/pid" 20
  rm -rf "$dir"
}
trap stop EXIT

# Requests keyed by client, as the first half of the pipeline would write them, at a pace that leaves time for all kills.
create_topic "$run-in" 8
feed() {
  local i
  for ((i = 0; i < rounds; ++i)); do zcat "$WEB_VISITS_DIR/web-access.log.gz" | sed 8899d; done |
    awk '{ print $1 "\t" $7 } NR % 400 == 0 { fflush(); system("sleep 0.15") }' |
    kcat -P -b "$KAFKA" -t "$run-in" -K '\t' -X topic.partitioner=murmur2_random
}
cat >"$dir/job.yaml" <<END
apiVersion: coho.dev/v1alpha1
kind: StreamJob
metadata: {name: $run}
spec:
  image: none
  task: {name: count}
  kafka: {bootstrapServers: "$KAFKA"}
  inputs: [{topic: $run-in, key: string, value: bytes}]
  outputs: [{topic: $run-out, key: string, value: string, partitions: 8}]
  stores: [{name: counts, key: string, value: int64}]
  workers: {count: 1, runLoops: 2}
  storage: {flushInterval: 1s}
  processing: {guarantee: $guarantee, commitInterval: 100ms}
END
metric() {
  curl -sf "http://127.0.0.1:$port/metrics" |
    awk -v name="$1" '$1 == name || index($1, name "{") == 1 { sum += $2 } END { printf "%d\n", sum }'
}
start_worker() {
  start_process "$dir/pid" "$dir/log" "$worker" --job "$dir/job.yaml" --state-dir "$dir/state" --http-address "127.0.0.1:$port" --log-format text
}
is_ready() { process_runs "$dir/pid" && curl -sf -o /dev/null "http://127.0.0.1:$port/readyz"; }

feed &
loader=$!
replayed=0 planned=0
for ((i = 0; i <= kills; ++i)); do
  start_worker
  wait_until 60 "worker is ready" is_ready || fail "worker is not ready after kill $i"
  [[ $(metric coho_store_wipes_total) == 0 ]] || fail "a store was wiped after kill $i"
  replayed=$((replayed + $(metric coho_restore_records_total))) planned=$((planned + $(metric coho_restore_records_planned_total)))
  if ((i < kills)); then
    sleep "0.$((RANDOM % 900 + 100))" # the random point
    stop_process "$dir/pid" 10 KILL
  fi
done
wait "$loader"
loader=''

want=$((rounds * WEB_VISITS_GOOD))
enough() { (($(count_committed "$run-out") >= want)); }
wait_until 120 "$want counts" enough || fail "found $(count_committed "$run-out") counts, expected $want"
changelog=$(count_committed "coho-default-$run-counts-changelog")
echo "killed $kills times; replayed $replayed of $planned records behind markers; the changelog holds $changelog"
# A full replay after each kill would be about half of the changelog each time.
((replayed <= planned)) || fail "replayed more than was planned"
((replayed < kills * changelog / 4)) || fail "restarts replayed $replayed records: that is not the difference only"

outputs=$dir/outputs
read_committed "$run-out" '%k %s\n' >"$outputs"
awk -v exact="$([[ $guarantee == ExactlyOnce ]] && echo 1 || echo 0)" '
  NR == FNR { want[$2] = $1; next }
  { if (seen[$1, $2]++ && exact) { printf "client %s: count %s was emitted twice\n", $1, $2; bad = 1 }
    got[$1]++; if ($2 > max[$1]) max[$1] = $2 }
  END {
    for (c in want) {
      if (exact && (got[c] != want[c] || max[c] != want[c])) { printf "client %s: %d counts up to %d, expected %d\n", c, got[c], max[c], want[c]; bad = 1 }
      if (max[c] < want[c]) { printf "client %s: counted %d, expected at least %d\n", c, max[c], want[c]; bad = 1 }
    }
    exit bad }' <(expected_visits "$rounds") "$outputs" || fail "counts differ (seed $seed)"
stop_process "$dir/pid" 20 || fail "worker does not stop on SIGTERM"
echo "counts of $(expected_visits | wc -l) clients are as they must be ($guarantee)"
