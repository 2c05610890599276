#!/usr/bin/env bash
# Jobs that cannot work are refused by the API server, or show one condition and one event that say what to do; other jobs and the
# operator are not touched.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

before=$(pods_fingerprint visits; pods_fingerprint clients)
operator_before=$(kubectl -n "$operator_namespace" get pods -o jsonpath='{.items[*].metadata.uid} {.items[*].status.containerStatuses[0].restartCount}')

# A valid job with one thing changed by a jq filter. What an earlier run of this script left in Kafka is no matter here.
bad_job() {
  local name=$1 filter=$2
  kubectl get streamjob visits -o json |
    jq --arg name "$name" "{apiVersion, kind, metadata: {name: \$name}, spec} | .spec.outputs = [{topic: (\$name + \"-out\"), partitions: 1}]
      | .spec.task.config = {store: \"visits\", output: (\$name + \"-out\")} | del(.spec.kafka.topicPrefix) | .spec.state.onLeftover = \"Adopt\" | $filter"
}

# Every case of the file that also drives the operator's unit tests, as dry runs: nothing is stored. A case is the base with its
# patch merged in (RFC 7386), under a name of our own where the patch gives it none; an update is a patch of the running job visits,
# where the patched fields have other values.
cases=$COHO_ROOT/tests/testdata/streamjobs/admission.json

# What the API server says must be part of the answer; nothing to say: it admits.
judge() {
  local name=$1 expected=$2 code=0 answer
  shift 2
  answer=$("$@" 2>&1) || code=$?
  if [[ -z $expected ]]; then
    ((code == 0)) || fail "\"$name\": refused with \"$answer\", expected it to be admitted"
  else
    ((code != 0)) || fail "\"$name\": admitted, expected it to be refused with \"$expected\""
    grep -qF -- "$expected" <<<"$answer" || fail "\"$name\": refused with \"$answer\", expected \"$expected\""
  fi
}
apply_dry() { kubectl apply --dry-run=server -f - <<<"$1"; }
patch_dry() { kubectl patch streamjob visits --type=merge --dry-run=server --patch "$1"; }

admission() {
  local list=$1 filter=$2 verdict=$3 case count=0
  while IFS= read -r case; do
    judge "$(jq -r .name <<<"$case")" "$(jq -r '.api // ""' <<<"$case")" "$verdict" "$(jq -c .object <<<"$case")"
    count=$((count + 1))
  done < <(jq -c "
    def merged(\$patch): if (\$patch | type) != \"object\" then \$patch
      else reduce (\$patch | to_entries[]) as \$e (if type == \"object\" then . else {} end;
        if \$e.value == null then del(.[\$e.key]) else .[\$e.key] |= merged(\$e.value) end) end;
    . as \$file | .${list}[] | .patch as \$patch | {name, api, object: ($filter)}" "$cases")
  ((count > 0)) || fail "no $list in $cases"
  note "$count $list of ${cases##*/}: admitted or refused as they say"
}
# shellcheck disable=SC2016 # jq's variables
admission cases '$file.base | merged($patch) | if .metadata.name == "visits" then .metadata.name = "admission-case" else . end' apply_dry
# shellcheck disable=SC2016
admission updates '$patch' patch_dry
if kubectl get streamjob admission-case >/dev/null 2>&1; then fail "a dry run stored a job"; fi

# Wherever a person or a program may look.
check_no_password() {
  local logs pod
  logs=$(kubectl -n "$operator_namespace" logs deployment/coho-operator) || fail "the operator's log cannot be read"
  [[ -n $logs ]] || fail "the operator's log is empty"
  for pod in $(kubectl get pods -l "coho.dev/job=$1" -o name); do logs+=$(kubectl logs "$pod" 2>/dev/null || true); done
  logs+=$(kubectl get streamjobs,configmaps,statefulsets,pods,events -o yaml) || fail "objects cannot be read"
  if grep -F wrong-pass-word <<<"$logs"; then fail "a password is in a log, a status, an event or a ConfigMap"; fi
}

shown() {
  local name=$1 filter=$2 reason=$3 text=$4
  bad_job "$name" "$filter" | kubectl apply -f - >/dev/null
  has_condition() {
    kubectl get streamjob "$name" -o json | jq -e --arg reason "$reason" --arg text "$text" \
      'any(.status.conditions[]?; .reason == $reason and (.message | contains($text)))'
  }
  wait_until 90 "$name shows $reason" has_condition ||
    fail "$name: $(kubectl get streamjob "$name" -o json | jq -c '.status.conditions'), expected $reason with \"$text\""
  # The event says the same, so that who reads only one of them knows what to do.
  has_event() {
    kubectl get events --field-selector "involvedObject.name=$name,type=Warning" -o json |
      jq -e --arg reason "$reason" --arg text "$text" 'any(.items[]; .reason == $reason and (.message | contains($text)))'
  }
  wait_until 30 "$name has a Warning event $reason" has_event ||
    fail "$name: $(kubectl get events --field-selector "involvedObject.name=$name" -o json | jq -c '[.items[] | {type, reason, message}]'), expected a Warning $reason with \"$text\""
  check_no_password "$name"
  note "$name: $(kubectl get streamjob "$name" -o json | jq -r --arg reason "$reason" 'first(.status.conditions[] | select(.reason == $reason) | .message)')"
  kubectl delete streamjob "$name" --wait=true >/dev/null
}
shown missing-topic '.spec.inputs[0].topic = "no-such-topic"' TopicMissing 'no-such-topic'
shown too-many-workers '.spec.workers.count = 9' TooManyWorkers '9'
create_topic four-partitions 4
shown different-counts '.spec.inputs += [{topic: "four-partitions", key: "string", value: "json"}]' PartitionCountsDiffer 'four-partitions'
shown unreachable-broker '.spec.kafka.bootstrapServers = "10.40.0.1:1"' KafkaUnreachable '10.40.0.1:1'
kubectl create secret generic wrong-credentials --dry-run=client -o yaml --from-literal=security.protocol=SASL_PLAINTEXT \
  --from-literal=sasl.mechanism=PLAIN --from-literal=sasl.username=coho --from-literal=sasl.password=wrong-pass-word | kubectl apply -f -
shown wrong-credentials '.spec.kafka.bootstrapServers = "10.40.0.1:29093" | .spec.kafka.secretRef = {name: "wrong-credentials"}' \
  KafkaAuthenticationFailed 'spec.kafka'
shown unknown-task '.spec.task.name = "no-such-task"' WorkerFailed 'no-such-task'

[[ $(kubectl -n "$operator_namespace" get pods -o jsonpath='{.items[*].metadata.uid} {.items[*].status.containerStatuses[0].restartCount}') == "$operator_before" ]] ||
  fail "the operator was restarted by a bad job"
[[ $(pods_fingerprint visits; pods_fingerprint clients) == "$before" ]] || fail "workers of other jobs were restarted by a bad job"
job_is_ready visits || fail "job visits is not ready any more"
