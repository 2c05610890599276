#!/usr/bin/env bash
# Two operators: one leads. The leader is killed: the other takes over within 20 s, and no worker restarts.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

before=$(pods_fingerprint visits; pods_fingerprint clients)
kubectl -n "$operator_namespace" scale deployment coho-operator --replicas=2
kubectl -n "$operator_namespace" rollout status deployment coho-operator --timeout=120s
holder() { kubectl -n "$operator_namespace" get lease coho-operator -o jsonpath='{.spec.holderIdentity}'; }
leading() { kubectl get --raw "/api/v1/namespaces/$operator_namespace/pods/$1:8080/proxy/metrics" | awk '/^leader_election_master_status/ { print $2 }'; }
leaders() {
  local pod count=0
  for pod in $(kubectl -n "$operator_namespace" get pods -l app.kubernetes.io/component=operator -o jsonpath='{.items[*].metadata.name}'); do
    [[ $(leading "$pod") == 1 ]] && count=$((count + 1))
  done
  echo "$count"
}
one_leads() { [[ $(leaders) -eq 1 ]]; }
wait_until 60 "exactly one operator leads" one_leads || fail "$(leaders) operators lead, expected one"

old=$(holder)
leader_pod=$(kubectl -n "$operator_namespace" get pods -o name | sed 's|pod/||' | while read -r pod; do [[ $old == *"$pod"* ]] && echo "$pod"; done)
[[ -n $leader_pod ]] || fail "holder $old is none of the pods"
for pid in $(pgrep -x coho-operator); do
  tr '\0' '\n' <"/proc/$pid/environ" | grep "=$leader_pod\$" >/dev/null && kill -KILL "$pid"
done
start=$EPOCHREALTIME
taken_over() { [[ -n $(holder) && $(holder) != "$old" ]]; }
wait_until 20 "another operator leads" taken_over || fail "nobody took over from $old within 20 s"
note "taken over after $(_elapsed_since "$start") s"
# The new leader works: a change of a job is acted upon.
kubectl annotate streamjob visits "coho.dev/test-touch=$RANDOM" --overwrite
wait_until 60 "job is ready" job_is_ready visits || fail "job is not ready under the new leader"
[[ $(pods_fingerprint visits; pods_fingerprint clients) == "$before" ]] || fail "workers were restarted by the change of leader"
kubectl -n "$operator_namespace" scale deployment coho-operator --replicas=1
