#!/usr/bin/env bash
# A worker of this release gets its job file from the next operator: fields that it does not know are passed over, and the job runs. The file is the one that today's operator wrote for a running job, with more in it than today.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

dir=$(mktemp -d)
run=next-$$
leave() {
  stop_process "$dir/pid" 20
  rm -rf "$dir"
}
trap leave EXIT

# As the pod has it.
config=$(kubectl get pod "$(pod_of visits 0)" -o json | jq -r 'first(.spec.volumes[] | select(.configMap).configMap.name)')
kubectl get configmap "$config" -o json | jq -r '.data | to_entries[] | select(.value | contains("\"spec\"")) | .value' >"$dir/written.json"
jq -e .spec.task.name "$dir/written.json" >/dev/null || fail "the operator's job file is not in ConfigMap $config"
# Topics of its own, so that the running job has no rival; and a field of the future at every depth.
jq --arg run "$run" --arg kafka "$KAFKA" '
  .metadata.name = $run | .spec.kafka.bootstrapServers = $kafka | .spec.kafka.topicPrefix = $run
  | .spec.outputs = [{topic: ($run + "-out"), key: "string", value: "string", partitions: 8}] | .spec.task.config.output = ($run + "-out")
  | .spec.workers.count = 1 | .spec.inputs[0].topic = ($run + "-in")
  | .spec.processing.ofTomorrow = {depth: 2} | .spec.ofTomorrow = "new" | .ofTomorrow = 1' "$dir/written.json" >"$dir/job.json"
create_topic "$run-in" 8
for key in salmon trout salmon; do printf '%s:{}\n' "$key"; done | kcat -P -b "$KAFKA" -t "$run-in" -K : -X topic.partitioner=murmur2_random

worker=${COHO_WORKER:-$COHO_ROOT/build/release/worker/coho-worker}
start_process "$dir/pid" "$dir/log" "$worker" --job "$dir/job.json" --worker-id 0 --state-dir "$dir/state" --http-address 127.0.0.1:0 --log-format json
counted() { process_runs "$dir/pid" && [[ $(read_committed "$run-out" '%k %s\n' | sort) == $'salmon 1\nsalmon 2\ntrout 1' ]]; }
wait_until 60 "three records are counted" counted || fail "a worker does not run with the next operator's job file: $(tail -n 3 "$dir/log")"
stop_process "$dir/pid" 20

# What a person writes stays strict: a slip of the pen is no field of the future.
jq 'del(.ofTomorrow) | {apiVersion: "coho.dev/v1alpha1", kind: "StreamJob", metadata: {name: .metadata.name}, spec}' "$dir/job.json" >"$dir/by-hand.json"
if "$worker" --job "$dir/by-hand.json" --state-dir "$dir/state" --http-address 127.0.0.1:0 >"$dir/by-hand.log" 2>&1; then fail "a job file written by hand with an unknown field was taken"; fi
grep -q ofTomorrow "$dir/by-hand.log" || fail "the refusal does not name the field: $(cat "$dir/by-hand.log")"
