#!/usr/bin/env bash
# The operator is away and a worker is killed: the worker comes back and goes on alone. The operator returns: nothing restarts, and
# status is right.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

kubectl -n "$operator_namespace" scale deployment coho-operator --replicas=0
no_operator() { [[ -z $(kubectl -n "$operator_namespace" get pods -l app.kubernetes.io/component=operator -o name) ]]; }
wait_until 60 "the operator is gone" no_operator

pod=$(pod_of visits 0)
restarts=$(pod_field "$pod" '{.status.containerStatuses[0].restartCount}')
kill -KILL "$(worker_pid "$pod")"
came_back() {
  (($(pod_field "$pod" '{.status.containerStatuses[0].restartCount}') > restarts)) &&
    [[ $(pod_field "$pod" '{.status.conditions[?(@.type=="Ready")].status}') == True ]]
}
wait_until 120 "$pod came back alone" came_back || fail "$pod did not come back without the operator"
send_web_access
check_counts

before=$(pods_fingerprint visits; pods_fingerprint clients)
kubectl -n "$operator_namespace" scale deployment coho-operator --replicas=1
kubectl -n "$operator_namespace" rollout status deployment coho-operator --timeout=120s
status_is_right() {
  job_is_ready visits && no_task_lags visits &&
    [[ $(assignment_lines visits | grep -c active) -eq 8 ]] &&
    [[ $(kubectl get streamjob visits -o jsonpath='{.status.observedGeneration}') == $(kubectl get streamjob visits -o jsonpath='{.metadata.generation}') ]]
}
wait_until 90 "status is right again" status_is_right || fail "status is not right after the operator came back"
[[ $(pods_fingerprint visits; pods_fingerprint clients) == "$before" ]] || fail "pods were restarted when the operator came back"
