# shellcheck shell=bash disable=SC2154
# The demo without Kubernetes: workers as processes of this machine. Sourced by hack/demo, which says $KAFKA and
# $standalone_dir, and starts Kafka.

readonly http_port=${COHO_STANDALONE_PORT:-18080}

worker_ready() { curl --silent --fail --output /dev/null "http://127.0.0.1:$1/readyz"; }

build_example() {
  cmake -S "$WEB_VISITS_DIR" -B "$standalone_dir/build-example" -G Ninja -DCMAKE_PREFIX_PATH="$standalone_dir/install"
  cmake --build "$standalone_dir/build-example"
}

# Worker 0 brings the coordinator of its job along; worker 1 finds it through Kafka.
start_worker() {
  local job=$1 id=$2 binary=$3 port=$4 name=$1-$2 coordinator=in-process
  process_runs "$standalone_dir/$name.pid" && return 0
  ((id == 0)) || coordinator=elsewhere
  start_process "$standalone_dir/$name.pid" "$standalone_dir/$name.log" \
    "$binary" --job "$WEB_VISITS_DIR/$job.yaml" --worker-id "$id" --coordinator "$coordinator" \
    --bootstrap-servers "$KAFKA" --state-dir "$standalone_dir/state/$name" --http-address "127.0.0.1:$port"
}

# As many workers as the job files ask for. The input of `visits` is made by `clients`.
start_workers() {
  local id
  for id in 0 1; do start_worker clients "$id" "$standalone_dir/build-example/web-visits-worker" $((http_port + 1 + id)); done
  for id in 0 1; do wait_until 60 "worker $id of clients is ready (log: $standalone_dir/clients-$id.log)" worker_ready $((http_port + 1 + id)); done
  for id in 0 1; do start_worker visits "$id" "$standalone_dir/install/bin/coho-worker" $((http_port + 3 + id)); done
  for id in 0 1; do wait_until 60 "worker $id of visits is ready (log: $standalone_dir/visits-$id.log)" worker_ready $((http_port + 3 + id)); done
}

await_counts() { wait_until 120 "all counts are in topic visits" visits_complete; }

demo_standalone() {
  mkdir -p "$standalone_dir"
  step "Debian packages" ensure_apt curl jq kcat
  begin "Kafka" kafka_up
  step "worker and SDK" "$COHO_ROOT/hack/sdk" "$standalone_dir/install"
  finish "Kafka"
  step "example against the installed SDK" build_example
  step "topic web-access" create_input_topic
  step "10,000 requests into web-access" load_web_access
  step "workers" start_workers
  step "until all is counted" await_counts
  print_top_clients
  print_dead_letters
  cat <<END

The workers, two a job, keep running. To try next:

  curl -s http://127.0.0.1:$((http_port + 3))/v1/tasks | jq .        # tasks of worker 0 of visits: offsets, lag, restore
  curl -s http://127.0.0.1:$((http_port + 3))/metrics | grep ^coho_
  kill -9 \$(cut -d' ' -f1 $standalone_dir/visits-1.pid); hack/demo --standalone    # it replays only what it had not flushed
  tail -f $standalone_dir/visits-1.log

To take it down: hack/demo down
END
}
