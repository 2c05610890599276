#!/usr/bin/env bash
# kill -9 of workers' processes at random points of the stream, 20 times: counts stay exact, nothing is wiped.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

seed=${COHO_SEED:-$RANDOM}
kills=${COHO_KILLS:-20}
echo "seed $seed (COHO_SEED=$seed replays the order of kills)"
RANDOM=$seed

feed() { local i; for i in 1 2 3; do send_web_access 1.5; done; }
feed &
loader=$!
is_running() { worker_pid "$1" >/dev/null && curl -sf -o /dev/null "http://$(pod_field "$1" '{.status.podIP}'):8080/readyz"; }
for ((i = 1; i <= kills; ++i)); do
  pod=$(pod_of visits $((RANDOM % 2)))
  wait_until 120 "$pod is ready" is_running "$pod" || fail "$pod is not ready before kill $i"
  sleep "0.$((RANDOM % 900 + 100))" # the random point
  kill -KILL "$(worker_pid "$pod")"
done
for worker in 0 1; do
  pod=$(pod_of visits $worker)
  wait_until 120 "$pod is ready" is_running "$pod" || fail "$pod is not ready after the last kill"
done
wait "$loader"
check_counts
for worker in 0 1; do
  pod=$(pod_of visits $worker)
  [[ $(metric "$pod" coho_store_wipes_total) == 0 ]] || fail "$pod wiped a store"
  note "$pod: replayed $(metric "$pod" coho_restore_records_total) of $(metric "$pod" coho_restore_records_planned_total) records behind its markers, $(pod_field "$pod" '{.status.containerStatuses[0].restartCount}') restarts"
done
