#!/usr/bin/env bash
# Two operators: one leads. The leader stands still: the other takes over and works, no worker restarts, and when the first one goes
# on it does not lead.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

before=$(pods_fingerprint visits; pods_fingerprint clients)
kubectl -n "$operator_namespace" scale deployment coho-operator --replicas=2
kubectl -n "$operator_namespace" rollout status deployment coho-operator --timeout=120s
operator_pods() { kubectl -n "$operator_namespace" get pods -l app.kubernetes.io/component=operator -o jsonpath='{.items[*].metadata.name}'; }
# The pod whose name the lease's holder begins with.
leader() {
  local holder pod
  holder=$(kubectl -n "$operator_namespace" get lease coho-operator -o jsonpath='{.spec.holderIdentity}')
  for pod in $(operator_pods); do
    [[ $holder != "$pod"* ]] || echo "$pod"
  done
}
leading() { kubectl get --raw "/api/v1/namespaces/$operator_namespace/pods/$1:8080/proxy/metrics" | awk '/^leader_election_master_status/ { print $2 }'; }
leaders() {
  local pod count=0
  for pod in $(operator_pods); do
    [[ $(leading "$pod") == 1 ]] && count=$((count + 1))
  done
  echo "$count"
}
one_leads() { [[ -n $(leader) && $(leaders) -eq 1 ]]; }
wait_until 60 "exactly one operator leads" one_leads || fail "$(leaders) operators lead, expected one"

old=$(leader)
stopped=''
for pid in $(pgrep -x coho-operator); do
  # To the end of its input: with pipefail, a reader that stops early fails the pipe.
  if tr '\0' '\n' <"/proc/$pid/environ" | grep "=$old\$" >/dev/null; then stopped=$pid; fi
done
[[ -n $stopped ]] || fail "no process of $old"
kill -STOP "$stopped"
trap 'kill -CONT "$stopped" 2>/dev/null || true' EXIT
start=$EPOCHREALTIME
another_leads() {
  local now
  now=$(leader)
  [[ -n $now && $now != "$old" && $(leading "$now") == 1 ]]
}
wait_until 90 "another operator leads" another_leads || fail "nobody took over from $old"
new=$(leader)
note "$new took over after $(_elapsed_since "$start") s"

# The new leader works: what belongs to a job is made again when somebody deletes it, and takes over the pod that is there.
set_of_worker=visits-worker-1
uid=$(kubectl get statefulset "$set_of_worker" -o jsonpath='{.metadata.uid}')
kubectl delete statefulset "$set_of_worker" --cascade=orphan
made_again() {
  local now
  now=$(kubectl get statefulset "$set_of_worker" -o jsonpath='{.metadata.uid}')
  [[ -n $now && $now != "$uid" ]]
}
wait_until 60 "$set_of_worker is made again" made_again || fail "$new does not act: $set_of_worker was deleted and is not there"

# Whether it is the same process that goes on, or its container was restarted meanwhile: it does not lead.
kill -CONT "$stopped" 2>/dev/null || true
new_leads_alone() { [[ $(operator_pods | wc -w) -eq 2 && $(leader) == "$new" && $(leaders) -eq 1 ]]; }
wait_until 60 "$new leads alone" new_leads_alone || fail "after $old went on, $(leaders) operators lead, by the lease $(leader)"
# It has heard each worker's full report after half a minute at the latest.
wait_until 60 "visits is ready under $new" job_is_ready visits || fail "job is not ready under the new leader"
[[ $(pods_fingerprint visits; pods_fingerprint clients) == "$before" ]] || fail "workers were restarted by the change of leader"
kubectl -n "$operator_namespace" scale deployment coho-operator --replicas=1
kubectl -n "$operator_namespace" rollout status deployment coho-operator --timeout=120s
# Who asks for the operator's pod after this finds the one that stays.
one_pod_is_left() { [[ $(operator_pods | wc -w) -eq 1 ]]; }
wait_until 60 "one operator pod is left" one_pod_is_left || fail "operator pods: $(operator_pods)"
