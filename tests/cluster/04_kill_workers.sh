#!/usr/bin/env bash
# kill -9 of workers' processes at random points of the stream, 20 times: counts stay exact, only what lies behind a marker is
# replayed, nothing is wiped.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

seed=${COHO_SEED:-$RANDOM}
kills=${COHO_KILLS:-20}
echo "seed $seed (COHO_SEED=$seed replays the order of kills)"
RANDOM=$seed

# Whole rounds of the log, until the last kill is done.
enough=$(mktemp -u)
trap 'touch "$enough"; wait || true; rm -f "$enough"' EXIT
feed() { until [[ -e $enough ]]; do send_web_access 1; done; }
feed &

is_running() { worker_pid "$1" >/dev/null && curl -sf -o /dev/null "http://$(pod_field "$1" '{.status.podIP}'):8080/readyz"; }
replayed=0 planned=0
# What the latest process of a pod replayed at its start.
add_replayed() {
  local pod=$1
  [[ $(metric "$pod" coho_store_wipes_total) == 0 ]] || fail "$pod wiped a store"
  replayed=$((replayed + $(metric "$pod" coho_restore_records_total)))
  planned=$((planned + $(metric "$pod" coho_restore_records_planned_total)))
}
killed=''
for ((i = 1; i <= kills; ++i)); do
  pod=$(pod_of visits $((RANDOM % 2)))
  wait_until 120 "$pod is ready" is_running "$pod" || fail "$pod is not ready before kill $i"
  [[ $killed != *"$pod"* ]] || add_replayed "$pod"
  sleep "0.$((RANDOM % 900 + 100))" # the random point
  kill -KILL "$(worker_pid "$pod")"
  killed+=" $pod"
done
touch "$enough"
for worker in 0 1; do
  pod=$(pod_of visits $worker)
  wait_until 120 "$pod is ready" is_running "$pod" || fail "$pod is not ready after the last kill"
  [[ $killed != *"$pod"* ]] || add_replayed "$pod"
done
wait
check_counts
changelog=$(count_committed coho-default-visits-visits-changelog)
note "$kills kills; replayed $replayed of $planned records behind markers; the changelog holds $changelog"
((replayed <= planned)) || fail "replayed $replayed records, planned were $planned"
((replayed < kills * changelog / 4)) || fail "restarts replayed $replayed records: that is more than the difference"
