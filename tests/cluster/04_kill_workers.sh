#!/usr/bin/env bash
# kill -9 of workers' processes at random points of the stream, 20 times: counts stay exact, no more is replayed than a worker had
# not written back when it was killed, nothing is wiped.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

seed=${COHO_SEED:-$RANDOM}
kills=${COHO_KILLS:-20}
echo "seed $seed (COHO_SEED=$seed replays the order of kills)"
RANDOM=$seed
changelog=$(job_topic visits visits-changelog)
# flushInterval of the job, and what a commit, a write-back and a busy machine take.
readonly unflushed_ms=$((5000 + 6000))

is_running() { worker_pid "$1" >/dev/null && curl -sf -o /dev/null "http://$(pod_field "$1" '{.status.podIP}'):8080/readyz"; }
tasks_of() { assignment_lines visits | sed -nE "s/^task ([0-9]+) -> worker $1 .*/\1/p"; }
works() { (($(metric "$1" coho_processed_records_total) > 0)); }

replayed=0 allowed=0
declare -A killed_at=()
# The latest process of a worker against the changelog's own times, which are the producer's.
check_replay() {
  local worker=$1 pod=$2 tasks now may
  [[ -n ${killed_at[$worker]:-} ]] || return 0
  [[ $(metric "$pod" coho_store_wipes_total) == 0 ]] || fail "$pod wiped a store"
  mapfile -t tasks < <(tasks_of "$worker")
  ((${#tasks[@]} == 4)) || fail "worker $worker has tasks ${tasks[*]}, expected four"
  now=$(metric "$pod" coho_restore_records_total)
  may=$(offsets_since "$changelog" $((killed_at[$worker] - unflushed_ms)) "${tasks[@]}")
  ((now <= may)) || fail "$pod replayed $now records; its changelogs got $may since $unflushed_ms ms before it was killed"
  replayed=$((replayed + now)) allowed=$((allowed + may))
}

start_feed 1
for ((i = 1; i <= kills; ++i)); do
  worker=$((RANDOM % 2))
  pod=$(pod_of visits $worker)
  wait_until 120 "$pod is ready" is_running "$pod" || fail "$pod is not ready before kill $i"
  check_replay "$worker" "$pod"
  # A kill of an idle process shows nothing.
  wait_until 60 "$pod processes records" works "$pod" || fail "$pod processes nothing before kill $i"
  check_feed
  sleep "0.$((RANDOM % 900 + 100))" # the random point
  killed_at[$worker]=${EPOCHREALTIME/[.,]/}
  killed_at[$worker]=$((killed_at[$worker] / 1000))
  kill -KILL "$(worker_pid "$pod")"
done
for worker in 0 1; do
  pod=$(pod_of visits $worker)
  wait_until 120 "$pod is ready" is_running "$pod" || fail "$pod is not ready after the last kill"
  check_replay "$worker" "$pod"
done
end_feed
check_counts
note "$kills kills; replayed $replayed records, where the changelog's times allow $allowed"
((replayed > 0)) || fail "nothing was ever replayed: the kills hit nothing"
