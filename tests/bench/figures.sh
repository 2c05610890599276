#!/usr/bin/env bash
# Prints the figures that the project promises: throughput and CPU against the floor in the same run, memory, start-up, image sizes.
# The machine is shared and noisy: look at the ratios.
#   figures.sh BUILD_DIR [throughput] [footprint]      default: both
set -euo pipefail
# shellcheck source=../../hack/lib/steps.sh
source "$(dirname "${BASH_SOURCE[0]}")/../../hack/lib/steps.sh"
KAFKA=${COHO_KAFKA:-127.0.0.1:19092}
# shellcheck source=../../hack/lib/web-visits.sh
source "$COHO_ROOT/hack/lib/web-visits.sh"
build_dir=${1:-$COHO_ROOT/build/release}
shift || true
what=${*:-throughput footprint}
records=${COHO_BENCH_RECORDS:-5000000}
worker=$build_dir/worker/coho-worker
bench=$build_dir/tests/bench
dir=$(mktemp -d)
port=18190
stop() {
  stop_process "$dir/pid" 30 || true
  rm -rf "$dir"
}
trap stop EXIT

scrape() { curl -sf "http://127.0.0.1:$port/metrics" >"$dir/metrics"; }
# Sum over all series of a metric.
metric() { awk -v name="$1" '$1 == name || index($1, name "{") == 1 { sum += $2 } END { printf "%.3f\n", sum }' "$dir/metrics"; }

job_file() { # NAME TASK INPUT COMMIT
  local stores=''
  [[ $2 == count ]] && stores='stores: [{name: counts, key: string, value: int64}]'
  cat >"$dir/$1.yaml" <<END
apiVersion: coho.dev/v1alpha1
kind: StreamJob
metadata: {name: $1}
spec:
  image: none
  task: {name: $2}
  kafka: {bootstrapServers: "$KAFKA"}
  inputs: [{topic: $3, key: bytes, value: bytes}]
  outputs: [{topic: $1-out, key: bytes, value: $([[ $2 == count ]] && echo int64 || echo bytes), partitions: 8}]
  $stores
  workers: {count: 1, runLoops: 2}
  processing: {guarantee: ExactlyOnce, commitInterval: $4}
END
}

all_processed() { scrape && awk -v n="$(metric coho_processed_records_total)" -v want="$records" 'BEGIN { exit !(n >= want) }'; }
has_begun() { process_runs "$dir/pid" || die "the worker ended: $(tail -1 "$dir/log")"; scrape && awk -v n="$(metric coho_processed_records_total)" 'BEGIN { exit !(n > 0) }'; }

# "records/s cpu-seconds-per-million rss-MiB" of our worker.
measure_worker() { # NAME TASK INPUT COMMIT
  job_file "$@"
  start_process "$dir/pid" "$dir/log" "$worker" --job "$dir/$1.yaml" --state-dir "$dir/state-$1" --http-address "127.0.0.1:$port"
  wait_until 60 "records are processed" has_begun >&2 || { tail -3 "$dir/log" >&2; return 1; }
  local start=$EPOCHREALTIME before_records before_cpu
  before_records=$(metric coho_processed_records_total) before_cpu=$(metric process_cpu_seconds_total)
  wait_until 300 "all records are processed" all_processed >&2
  awk -v a="$start" -v b="$EPOCHREALTIME" -v n="$(metric coho_processed_records_total)" -v n0="$before_records" \
    -v c="$(metric process_cpu_seconds_total)" -v c0="$before_cpu" -v rss="$(metric process_resident_memory_bytes)" \
    'BEGIN { printf "%.0f %.2f %.0f\n", (n - n0) / (b - a), (c - c0) / (n - n0) * 1e6, rss / 1048576 }'
  stop_process "$dir/pid" 30 >&2
  rm -rf "$dir/state-$1"
}

measure_floor() { # NAME TASK INPUT COMMIT_MS
  create_topic "$1-out" 8 >&2
  create_topic "$1-changelog" 8 >&2
  mkdir -p "$dir/floor-$1"
  "$bench/bench_floor" --brokers "$KAFKA" --input "$3" --output "$1-out" --changelog "$1-changelog" --work "$2" \
    --commit-ms "$4" --records "$records" --directory "$dir/floor-$1"
  rm -rf "$dir/floor-$1"
}

drop_topics() {
  local topic
  for topic in "$@"; do
    "$COHO_ROOT/hack/kafka" tool org.apache.kafka.tools.TopicCommand --bootstrap-server "$KAFKA" --delete --if-exists --topic "$topic" \
      >/dev/null 2>&1 || true
  done
}

throughput() {
  local distribution input id run task commit ms ours floor
  id=$(($(date +%s) % 100000))
  for distribution in uniform zipf; do
    input=bench-$distribution-$records
    if [[ $(kcat -b "$KAFKA" -L -J -m 20 | jq --arg t "$input" '[.topics[] | select(.topic == $t)] | length') == 0 ]]; then
      "$bench/bench_load_records" --brokers "$KAFKA" --topic "$input" --records "$records" --distribution "$distribution"
    fi
  done
  echo
  echo "$records keyed records of 100 bytes, 1 M keys, 8 partitions, two run loops, exactly-once, lz4; CPU is of the process alone"
  printf '%-28s %-8s %12s %10s %8s %12s %10s %10s\n' work commit records/s CPU-s/M RSS-MiB floor/s floor-CPU CPU-ratio
  while read -r task distribution; do
    for commit in 100ms 1s; do
      ms=$([[ $commit == 1s ]] && echo 1000 || echo 100)
      input=bench-$distribution-$records run=$id-${task%%-*}-$distribution-$commit
      floor=$(measure_floor "floor-$run" "$task" "$input" "$ms")
      ours=$(measure_worker "bench-$run" "$task" "$input" "$commit")
      awk -v t="$task $distribution" -v c="$commit" -v o="$ours" -v f="$floor" 'BEGIN {
        split(o, a, " "); split(f, b, " ")
        printf "%-28s %-8s %12d %10.2f %8d %12d %10.2f %10.2f\n", t, c, a[1], a[2], a[3], b[1], b[2], a[2] / b[2] }'
      drop_topics "floor-$run-out" "floor-$run-changelog" "bench-$run-out" "coho-default-bench-$run-counts-changelog"
    done
  done <<<"pass-through uniform
count zipf
count uniform"
}

worker_is_ready() { curl -sf -o /dev/null "http://127.0.0.1:$port/readyz"; }

footprint() {
  local image start
  echo
  create_topic "bench-idle" 8 >/dev/null
  job_file bench-idle-job count bench-idle 100ms
  start_process "$dir/pid" "$dir/log" "$worker" --job "$dir/bench-idle-job.yaml" --state-dir "$dir/state-idle" --http-address "127.0.0.1:$port"
  wait_until 60 "worker is ready" worker_is_ready
  scrape
  awk -v rss="$(metric process_resident_memory_bytes)" 'BEGIN { printf "worker RSS idle, 8 tasks with a store each: %.1f MiB\n", rss / 1048576 }'
  stop_process "$dir/pid" 30
  start=$EPOCHREALTIME
  start_process "$dir/pid" "$dir/log" "$worker" --job "$dir/bench-idle-job.yaml" --state-dir "$dir/state-idle" --http-address "127.0.0.1:$port"
  wait_until 60 "worker is ready" worker_is_ready
  echo "standalone worker with warm state, start to ready: $(_elapsed_since "$start") s"
  stop_process "$dir/pid" 30

  eval "$("$COHO_ROOT/hack/cluster" env)"
  if kubectl get streamjob visits >/dev/null 2>&1; then
    local pod operator
    operator=$(kubectl -n coho-system get pods -l app.kubernetes.io/component=operator -o jsonpath='{.items[0].metadata.name}')
    kubectl get --raw "/api/v1/namespaces/coho-system/pods/$operator:8080/proxy/metrics" |
      awk '/^process_resident_memory_bytes/ { printf "operator RSS with the demo'"'"'s two jobs: %.1f MiB\n", $2 / 1048576 }'
    for pod in $(kubectl get pods -l coho.dev/job -o jsonpath='{.items[*].metadata.name}'); do
      kubectl get pod "$pod" -o json | jq -r '
        def seconds: sub("\\.[0-9]+Z$"; "Z") | fromdate;
        select(.status.containerStatuses[0].ready) |
        "\(.metadata.name): container start to ready \((.status.conditions[] | select(.type == "Ready").lastTransitionTime | seconds)
          - (.status.containerStatuses[0].state.running.startedAt | seconds)) s (Kubernetes counts whole seconds)"'
      kubectl logs "$pod" | jq -rR --arg pod "$pod" 'fromjson? | select(.message == "worker ready") | "\($pod): process start to ready \(.seconds) s"'
    done
  else
    echo "operator and pods: no demo runs; hack/demo first"
  fi
  for image in coho-operator coho-worker; do
    if [[ -e $COHO_RUN_DIR/images/$image.tar ]]; then
      printf 'image %s: %s MiB\n' "$image" "$(($(stat -c %s "$COHO_RUN_DIR/images/$image.tar") / 1048576))"
    fi
  done
}

for part in $what; do "$part"; done
