#!/usr/bin/env bash
# README.md's own job on README.md's cluster, by the commands that stand there: image built and loaded by one command, topic made,
# broker found by name, volumes of the default class; every count exact, and the job can be taken away again.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=../first_hour/lib.sh
source "$COHO_ROOT/tests/first_hour/lib.sh"

dir=$(mktemp -d)
leave() {
  kubectl delete streamjob words --ignore-not-found --wait=true >/dev/null 2>&1 || true
  "$COHO_ROOT/hack/kafka" tool org.apache.kafka.tools.TopicCommand --bootstrap-server "$KAFKA" --delete --if-exists \
    --topic 'words|word-counts|coho-default\.words-.*' >/dev/null 2>&1 || true
  rm -rf "$dir"
}
trap leave EXIT

readme_job_is_the_example "$dir/readme" || fail "README.md"
commands=$(grep -l 'kubectl apply -f examples/words/words.yaml' "$dir"/readme/*.sh) || fail "README.md has no commands for its own job"
cd "$COHO_ROOT"
bash -euo pipefail "$commands" >"$dir/output" 2>&1 || {
  cat "$dir/output"
  kubectl describe streamjob words || true
  kubectl get events --sort-by=.lastTimestamp | tail -n 20
  fail "a command of README.md failed"
}
counts=$(grep -E '^(salmon|trout) [0-9]+$' "$dir/output" | sort)
[[ $counts == $'salmon 1\nsalmon 2\ntrout 1' ]] || fail "README.md's commands say: $counts"
classes=$(kubectl get persistentvolumeclaims -l coho.dev/job=words -o jsonpath='{.items[*].spec.storageClassName}')
[[ $classes == "local local" ]] || fail "volumes are of class \"$classes\", expected the default one, local, twice"
note "README.md's job counts: ${counts//$'\n'/, }"

printf '%s:\n' salmon char | kcat -P -b "$KAFKA" -t words -K : -X topic.partitioner=murmur2_random
more() { [[ $(count_committed word-counts) -eq 5 ]]; }
wait_until 60 "two more counts" more || fail "found $(count_committed word-counts) counts, expected 5"
kubectl delete streamjob words --wait=true --timeout=2m
gone() { [[ -z $(kubectl get pods -l coho.dev/job=words -o name) ]]; }
wait_until 90 "the job's pods are gone" gone || fail "pods are left: $(kubectl get pods -l coho.dev/job=words -o name)"
