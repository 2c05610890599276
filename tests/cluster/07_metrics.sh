#!/usr/bin/env bash
# promtool accepts both endpoints' metrics; a real Prometheus scrapes both.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

worker=$(pod_of visits 0)
operator=$(kubectl -n "$operator_namespace" get pods -l app.kubernetes.io/component=operator -o jsonpath='{.items[0].metadata.name}')
worker_metrics "$worker" | promtool check metrics || fail "promtool refuses the worker's metrics"
kubectl get --raw "/api/v1/namespaces/$operator_namespace/pods/$operator:8080/proxy/metrics" | promtool check metrics ||
  fail "promtool refuses the operator's metrics"

dir=$(mktemp -d)
stop() {
  stop_process "$dir/pid" 10
  rm -rf "$dir"
}
trap stop EXIT
cat >"$dir/prometheus.yml" <<END
global: {scrape_interval: 1s}
scrape_configs:
  - job_name: worker
    static_configs: [{targets: ["$(pod_field "$worker" '{.status.podIP}'):8080"]}]
  - job_name: operator
    static_configs: [{targets: ["$(kubectl -n "$operator_namespace" get pod "$operator" -o jsonpath='{.status.podIP}'):8080"]}]
END
start_process "$dir/pid" "$dir/log" prometheus --config.file="$dir/prometheus.yml" --storage.tsdb.path="$dir/data" \
  --web.listen-address=127.0.0.1:19190
await_http 60 http://127.0.0.1:19190/-/ready
query() { curl -sf --get --data-urlencode "query=$1" http://127.0.0.1:19190/api/v1/query | jq -r '.data.result[0].value[1] // empty'; }
both_up() { [[ $(query 'sum(up)') == 2 ]]; }
wait_until 60 "both targets are up" both_up || fail "Prometheus does not scrape both: $(curl -s http://127.0.0.1:19190/api/v1/targets)"
# What Prometheus has is what the worker says; nothing flows now.
same_value() { [[ $(query 'sum(coho_processed_records_total)') == "$(metric "$worker" coho_processed_records_total)" ]]; }
wait_until 30 "Prometheus has the worker's value" same_value ||
  fail "coho_processed_records_total: $(query 'sum(coho_processed_records_total)') in Prometheus, $(metric "$worker" coho_processed_records_total) of $worker"
(($(query 'sum(controller_runtime_reconcile_total)') > 0)) || fail "no controller_runtime_reconcile_total in Prometheus"
