#!/usr/bin/env bash
# A worker's pod is deleted: it comes back to the same node and volume, replays only the difference, and the other worker's tasks do
# not pause meanwhile.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

pod=$(pod_of visits 0) other=$(pod_of visits 1)
node=$(pod_field "$pod" '{.spec.nodeName}')
claim=$(pod_field "$pod" '{.spec.volumes[?(@.name=="state")].persistentVolumeClaim.claimName}')
volume=$(kubectl get pvc "$claim" -o jsonpath='{.spec.volumeName}')
volume_node=$(kubectl get pv "$volume" -o jsonpath='{.spec.nodeAffinity.required.nodeSelectorTerms[0].matchExpressions[0].values[0]}')
[[ $volume_node == "$node" ]] || fail "volume $volume is on $volume_node, its pod on $node"

# From stored locality: preferred, 100 for the node and 50 for its zone.
set_of_pod=${pod%-*}
zone=$(kubectl get node "$node" -o jsonpath='{.metadata.labels.topology\.kubernetes\.io/zone}')
affinity_written() {
  kubectl get statefulset "$set_of_pod" -o json | jq -e --arg node "$node" --arg zone "$zone" '
    .spec.template.spec.affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution as $p
    | any($p[]; .weight == 100 and any(.preference | (.matchExpressions // [])[], (.matchFields // [])[]; .values == [$node]))
      and any($p[]; .weight == 50 and any(.preference.matchExpressions[]; .values == [$zone]))'
}
wait_until 60 "affinity of $set_of_pod to $node (100) and $zone (50)" affinity_written || fail "no preferred affinity from locality"
kubectl get statefulset "$set_of_pod" -o json |
  jq -e '.spec.template.spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution == null' >/dev/null ||
  fail "a required affinity was written"

# Records flow while the pod is away, and it stays away until the other worker has shown that it goes on.
start_feed 0.5
uid=$(pod_field "$pod" '{.metadata.uid}')
other_before=$(pods_fingerprint visits | grep "^$other ")
starts_before=$(task_starts "$other")
kubectl cordon "$node"
trap 'kubectl uncordon "$node"; touch "$feed_enough"' EXIT
kubectl delete pod "$pod" --wait=false
is_away() { [[ $(pod_field "$pod" '{.metadata.uid}' 2>/dev/null) != "$uid" ]]; }
wait_until 90 "$pod is away" is_away || fail "$pod does not go"
processed_when_away=$(metric "$other" coho_processed_records_total)
other_goes_on() { (($(metric "$other" coho_processed_records_total) >= processed_when_away + 1000)); }
wait_until 60 "tasks of $other process a thousand records" other_goes_on || fail "tasks of $other stand still while $pod is away"
is_running() { [[ $(pod_field "$pod" '{.status.phase}' 2>/dev/null) == Running ]]; }
if is_running; then fail "$pod runs on a node that takes no pods"; fi
kubectl uncordon "$node"

is_back() {
  [[ $(pod_field "$pod" '{.metadata.uid}') != "$uid" && $(pod_field "$pod" '{.status.conditions[?(@.type=="Ready")].status}') == True ]]
}
wait_until 120 "$pod is back" is_back || fail "$pod did not come back"
[[ $(pod_field "$pod" '{.spec.nodeName}') == "$node" ]] || fail "$pod came back on $(pod_field "$pod" '{.spec.nodeName}'), its state is on $node"
[[ $(kubectl get pvc "$claim" -o jsonpath='{.spec.volumeName}') == "$volume" ]] || fail "$claim has another volume"
end_feed
check_counts

[[ $(pods_fingerprint visits | grep "^$other ") == "$other_before" ]] || fail "$other was restarted, too"
[[ $(task_starts "$other") == "$starts_before" ]] || fail "tasks of $other were started again"
[[ $(metric "$pod" coho_store_wipes_total) == 0 ]] || fail "$pod wiped a store"
replayed=$(metric "$pod" coho_restore_records_total)
all=$(count_committed "$(job_topic visits visits-changelog)")
note "$pod replayed $replayed records; its changelogs and those of $other hold $all"
# It drained before it went, so nothing was behind its marker.
((replayed == 0)) || fail "$pod replayed $replayed records after a clean stop"
