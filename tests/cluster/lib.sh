# shellcheck shell=bash disable=SC2034
# What the cluster tests share; each is a script of its own, run in order by ctest on the cluster that hack/demo left running.
set -euo pipefail
# shellcheck source=../../hack/lib/steps.sh
source "$(dirname "${BASH_SOURCE[0]}")/../../hack/lib/steps.sh"
KAFKA=127.0.0.1:19092
# shellcheck source=../../hack/lib/web-visits.sh
source "$COHO_ROOT/hack/lib/web-visits.sh"

eval "$("$COHO_ROOT/hack/cluster" env)"
readonly operator_namespace=coho-system

fail() {
  printf 'FAIL: %s\n' "$*" >&2
  kubectl get streamjobs,pods -o wide >&2 || true
  kubectl get streamjob visits -o jsonpath='{range .status.conditions[*]}{.type}={.status} {.reason}: {.message}{"\n"}{end}' >&2 || true
  "$COHO_ROOT/hack/lib/collect_artifacts" "$COHO_ROOT/build/artifacts/$(basename "$0" .sh)" >&2 || true
  exit 1
}
note() { printf '  %s\n' "$*"; }

pod_of() { kubectl get pods -l "coho.dev/job=$1,coho.dev/worker=$2" -o jsonpath='{.items[0].metadata.name}'; }
pod_field() { kubectl get pod "$1" -o jsonpath="$2"; }

# "name uid restarts" of each pod of a job, to see whether anything restarted.
pods_fingerprint() {
  kubectl get pods -l "coho.dev/job=$1" \
    -o jsonpath='{range .items[*]}{.metadata.name} {.metadata.uid} {.status.containerStatuses[0].restartCount}{"\n"}{end}' | sort
}

worker_metrics() { kubectl get --raw "/api/v1/namespaces/default/pods/$1:8080/proxy/metrics"; }
# Sum over all series of a metric, which must exist.
metric() {
  worker_metrics "$1" | awk -v name="$2" '
    $1 == name || index($1, name "{") == 1 { sum += $2; found = 1 }
    END { if (!found) { print "no metric " name > "/dev/stderr"; exit 1 } printf "%d\n", sum }'
}
# How often this process of the worker started a task.
task_starts() { kubectl logs "$1" | grep -c '"message":"task running"'; }

job_is_ready() { [[ $(kubectl get streamjob "$1" -o jsonpath='{.status.conditions[?(@.type=="Ready")].status}') == True ]]; }
assignment_lines() { kubectl get streamjob "$1" -o jsonpath='{range .status.assignment[*]}{@}{"\n"}{end}'; }
no_task_lags() {
  local lines
  lines=$(assignment_lines "$1")
  [[ -n $lines ]] && ! grep -qv 'lag 0$' <<<"$lines"
}

# All rounds of the log that were sent are counted, exactly.
check_counts() {
  local rounds
  rounds=$(web_access_rounds)
  wait_until 180 "all counts of $rounds rounds in topic visits" visits_complete "$rounds"
  check_visits_exact "$rounds" || fail "counts differ after $rounds rounds of the log"
}

# A topic of a job's own by the end of its name: `job_topic visits coordinator`.
job_topic() {
  local topic
  topic=$(kcat -b "$KAFKA" -L -J -m 20 | jq -r --arg tail "$1-$2" '.topics[].topic | select(test("^coho-default[.-]" + $tail + "$"))')
  [[ -n $topic ]] || fail "job $1 has no topic $2"
  echo "$topic"
}

# How many offsets partitions of a topic have got since a time in milliseconds.
offsets_since() {
  local topic=$1 since=$2 partition begins=() ends=()
  shift 2
  for partition in "$@"; do
    begins+=(-t "$topic:$partition:$since")
    ends+=(-t "$topic:$partition:-1")
  done
  { kcat -Q -b "$KAFKA" "${ends[@]}"; echo; kcat -Q -b "$KAFKA" "${begins[@]}"; } | awk '
    NF == 0 { begins = 1 }
    NF == 4 && !begins { end[$2] = $4 }
    NF == 4 && begins && $4 >= 0 { sum += end[$2] - $4 }
    END { print sum + 0 }'
}

# Whole rounds of the log, one after the other, until end_feed: nothing is tested on an idle job.
start_feed() {
  feed_enough=$(mktemp -u)
  (until [[ -e $feed_enough ]]; do send_web_access "${1:-1}"; done) &
  feed=$!
  feed_rounds=$(web_access_rounds)
  trap 'touch "$feed_enough"; wait "$feed" || true; rm -f "$feed_enough"' EXIT
}
check_feed() { kill -0 "$feed" 2>/dev/null || fail "the feeder died"; }
end_feed() {
  check_feed
  touch "$feed_enough"
  wait "$feed" || fail "the feeder failed"
  rm -f "$feed_enough"
  trap - EXIT
  (($(web_access_rounds) > feed_rounds)) || fail "nothing was fed"
}

# Host pid of the worker container of a pod: nodes are namespaces of this machine.
worker_pid() {
  local pod=$1 pid
  for pid in $(pgrep -x coho-worker; pgrep -f -- '--worker-id='); do
    if tr '\0' '\n' <"/proc/$pid/environ" 2>/dev/null | grep -x "COHO_POD_NAME=$pod" >/dev/null; then
      echo "$pid"
      return 0
    fi
  done
  return 1
}
