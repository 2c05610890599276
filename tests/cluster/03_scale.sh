#!/usr/bin/env bash
# 2 -> 3 -> 1 workers while records flow: one owner per task at every generation, counts exact, emptied workers gone.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# The coordinator topic folded generation by generation: prints violations.
owners_violations() {
  read_committed "$coordinator_topic" '%k\t%s\n' | awk -F'\t' '
    { print $1 "\t" $2 }' | jq -Rrn '
    reduce (inputs | split("\t")) as [$key, $value] ({workers: {}, before: {}, out: [], generations: 0};
      if ($key | startswith("worker/")) then
        (if $value == "" then del(.workers[$key]) else .workers[$key] = ($value | fromjson | .active) end)
      elif $key == "assignment" then
        .generations += 1
        | ($value | fromjson | .generation) as $g
        | (reduce (.workers | to_entries[]) as $w ({}; reduce ($w.value[]?) as $t (.; .[$t | tostring] += [$w.key]))) as $owners
        | .out += [$owners | to_entries[] | select(.value | length > 1) | "generation \($g): task \(.key) has owners \(.value)"]
        | .before as $before
        | .out += [$owners | to_entries[] | select($before[.key] and $before[.key] != .value)
                   | "generation \($g): task \(.key) passed from \($before[.key]) to \(.value) without being released"]
        | .before = $owners
      else . end)
    | .out[], "\(.generations) generations checked; tasks with an owner: \(.before | length)"'
}
# Generations must have come since the last look, and every task must have its owner now: a check of nothing is none.
generations=0
check_owners() {
  local report last now
  report=$(owners_violations)
  if grep '^generation ' <<<"$report"; then fail "$report"; fi
  last=${report##*$'\n'}
  note "$last"
  now=${last%% *}
  ((now > generations)) || fail "no new generation among $now"
  generations=$now
  [[ $last == *"with an owner: 8" ]] || fail "$last, expected 8"
}
all_tasks_on() {
  # All eight tasks active, on as many workers as given.
  [[ $(assignment_lines visits | grep -cE 'active') -eq 8 && $(assignment_lines visits | grep -oE 'worker [0-9]+' | sort -u | wc -l) -eq $1 ]]
}
pods_are() { [[ $(kubectl get pods -l coho.dev/job=visits --no-headers | wc -l) -eq $1 ]]; }

coordinator_topic=$(job_topic visits coordinator)
check_owners
start_feed 1
for workers in 3 1; do
  check_feed
  kubectl scale streamjob/visits --replicas=$workers
  wait_until 180 "tasks on $workers workers" all_tasks_on $workers || fail "tasks are not on $workers workers"
  wait_until 120 "job is ready" job_is_ready visits || fail "job is not ready with $workers workers"
  check_owners
done
wait_until 120 "emptied workers are gone" pods_are 1 || fail "emptied workers are still there"
[[ $(kubectl get statefulsets -l coho.dev/job=visits --no-headers | wc -l) -eq 1 ]] || fail "emptied workers' sets are still there"
end_feed
check_counts

kubectl scale streamjob/visits --replicas=2
wait_until 180 "tasks on 2 workers" all_tasks_on 2 || fail "tasks are not on 2 workers again"
wait_until 120 "job is ready" job_is_ready visits || fail "job is not ready with 2 workers"
check_owners
