#!/usr/bin/env bash
# A second installation of the operator whose jobs are already somebody's: it says whose they are and touches nothing.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

second=coho-second
leave() { helm uninstall coho --namespace "$second" --wait >/dev/null 2>&1 || true; kubectl delete namespace "$second" --wait=false >/dev/null 2>&1 || true; }
trap leave EXIT

argument_of() { # NAMESPACE FLAG
  kubectl -n "$1" get deployment coho-operator -o json | jq -r --arg flag "--$2" '
    .spec.template.spec.containers[0] | [(.command // [])[], (.args // [])[]]
    | . as $all | first(range(length) as $i | if $all[$i] | startswith($flag + "=") then $all[$i] | ltrimstr($flag + "=")
                        elif $all[$i] == $flag then $all[$i + 1] else empty end)'
}
first_installation=$(argument_of "$operator_namespace" installation-id)
[[ -n $first_installation ]] || fail "the first operator has no --installation-id"

before=$(pods_fingerprint visits; pods_fingerprint clients)
# Everything that the first installation wrote, as it wrote it.
objects() { kubectl get streamjobs,statefulsets,services,configmaps,poddisruptionbudgets -o json | jq -S '[.items[] | {kind, name: .metadata.name, uid: .metadata.uid, generation: .metadata.generation, spec, data}]'; }
objects_before=$(objects)
coordinator_topic=$(job_topic visits coordinator)
decided_before=$(count_committed "$coordinator_topic")

values=$(helm get values coho --namespace "$operator_namespace" -o json)
helm install coho "$COHO_ROOT/charts/coho" --namespace "$second" --create-namespace --set crds.enabled=false --set replicas=1 -f - <<<"$values" >/dev/null
# The second one says it in an event of the job, since the job's status is the first one's.
says_whose() {
  kubectl get events --field-selector involvedObject.name=visits,type=Warning,reason=ClaimedByAnother -o json |
    jq -e --arg first "$first_installation" 'any(.items[]; .message | contains($first))'
}
wait_until 120 "the second operator says that the jobs are $first_installation's" says_whose ||
  fail "the second operator does not say whose the jobs are: $(kubectl get events --field-selector involvedObject.name=visits) $(kubectl -n "$second" logs deployment/coho-operator | tail -5)"
note "$(kubectl get events --field-selector involvedObject.name=visits,reason=ClaimedByAnother -o jsonpath='{.items[0].message}')"
[[ $(kubectl get streamjob visits -o jsonpath='{.status.installation}') == "$first_installation" ]] || fail "status.installation is not $first_installation"

# Long enough for both to look at every job again.
send_web_access
check_counts
job_is_ready visits || fail "job visits is not ready beside a second installation"
[[ $(objects) == "$objects_before" ]] || fail "objects were changed by the second installation: $(diff <(echo "$objects_before") <(objects))"
[[ $(count_committed "$coordinator_topic") == "$decided_before" ]] || fail "something was decided about job visits while the second installation was there"
[[ $(pods_fingerprint visits; pods_fingerprint clients) == "$before" ]] || fail "workers were restarted because of the second installation"
leave
trap - EXIT
