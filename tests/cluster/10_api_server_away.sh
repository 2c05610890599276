#!/usr/bin/env bash
# The API server is away for a minute, and a worker dies meanwhile: it comes back alone and goes on; when the API server is back,
# nothing else is restarted, and status is right.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

pod=$(pod_of visits 0) other=$(pod_of visits 1)
address=$(pod_field "$pod" '{.status.podIP}')
others_before=$(pods_fingerprint visits | grep -v "^$pod "; pods_fingerprint clients)
restarts=$(pod_field "$pod" '{.status.containerStatuses[0].restartCount}')
operator_namespace_pods() { kubectl -n "$operator_namespace" get pods -l app.kubernetes.io/component=operator -o name; }
operator_before=$(operator_namespace_pods)
generation_of() { kubectl get streamjob visits -o jsonpath='{.status.assignmentGeneration}'; }
generation_before=$(generation_of)
pid=$(worker_pid "$pod")
start_feed 1
"$COHO_ROOT/hack/cluster" api-stop
trap '"$COHO_ROOT/hack/cluster" api-start; touch "$feed_enough"' EXIT
away_since=$EPOCHREALTIME
if kubectl get --raw /readyz --request-timeout=2s >/dev/null 2>&1; then fail "the API server still answers"; fi
kill -KILL "$pid"
is_another() {
  local now
  now=$(worker_pid "$pod") && [[ $now != "$pid" ]] && curl -sf --max-time 2 -o /dev/null "http://$address:8080/readyz"
}
wait_until 60 "$pod's worker is back without the API server" is_another || fail "$pod's worker did not come back while the API server was away"
# Straight from the worker: there is no proxy now.
processed() { curl -sf --max-time 2 "http://$address:8080/metrics" | awk '/^coho_processed_records_total/ { sum += $2 } END { print sum + 0 }'; }
works() { (($(processed) >= 1000)); }
wait_until 60 "it processes a thousand records" works || fail "$pod's worker processes nothing while the API server is away"
minute_is_over() { ((${EPOCHREALTIME/[.,]/} - ${away_since/[.,]/} >= 60000000)); }
wait_until 70 "a minute is over" minute_is_over
"$COHO_ROOT/hack/cluster" api-start

api_answers() { kubectl get --raw /readyz --request-timeout=2s; }
wait_until 60 "the API server answers" api_answers || fail "the API server does not come back"
# The new process made a generation; a status of before would have been right, too.
status_is_right() {
  (($(generation_of) > generation_before)) && job_is_ready visits && [[ $(assignment_lines visits | grep -c active) -eq 8 ]] &&
    [[ $(kubectl get streamjob visits -o jsonpath='{.status.observedGeneration}') == $(kubectl get streamjob visits -o jsonpath='{.metadata.generation}') ]]
}
wait_until 120 "status is right again" status_is_right || fail "status is not right after the API server came back"
end_feed
check_counts
[[ $(pod_field "$pod" '{.status.containerStatuses[0].restartCount}') -eq $((restarts + 1)) ]] || fail "$pod was restarted more than once"
[[ $(pods_fingerprint visits | grep -v "^$pod "; pods_fingerprint clients) == "$others_before" ]] || fail "other workers were restarted because of the API server ($other is one)"
[[ $(operator_namespace_pods) == "$operator_before" ]] || fail "the operator's pod was replaced"
