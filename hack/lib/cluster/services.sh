# shellcheck shell=bash
# Names of services in hack/cluster, and the Kafka of hack/kafka as one of them.
# shellcheck source-path=SCRIPTDIR source=names.sh
source "$(dirname "${BASH_SOURCE[0]}")/names.sh"

# hack/kafka's broker as a service of the cluster: `kafka` in namespace `kafka`, or `kafka.kafka` from anywhere.
start_dns() {
  kubectl create -f - <<EOF
apiVersion: v1
kind: Namespace
metadata: {name: kafka}
---
apiVersion: v1
kind: Service
metadata: {name: kafka, namespace: kafka}
spec: {ports: [{name: kafka, port: 9092}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: kafka, namespace: kafka, labels: {kubernetes.io/service-name: kafka}}
addressType: IPv4
ports: [{name: kafka, port: 29092}]
endpoints: [{addresses: [$host_address]}]
EOF
  write_service_names
  # It knows the services and nothing else: any other name does not exist.
  start_process "$pids/dns" "$logs/dns.log" dnsmasq --keep-in-foreground --conf-file=/dev/null --user=root --pid-file \
    --listen-address="$host_address" --bind-interfaces --no-resolv --no-hosts --addn-hosts="$cluster/service-names" --address=/#/
  start_process "$pids/service-follower" "$logs/service-follower.log" "$COHO_ROOT/hack/cluster" follow-services
}

write_service_names() {
  kubectl get services --all-namespaces \
    -o 'jsonpath={range .items[*]}{.spec.clusterIP} {.metadata.name}.{.metadata.namespace}.svc.cluster.local{"\n"}{end}' |
    grep -v '^None ' >"$cluster/service-names.new"
  mv "$cluster/service-names.new" "$cluster/service-names"
}

follow_services() {
  while :; do
    kubectl get services --all-namespaces --watch -o name | while read -r _; do
      write_service_names && _signal HUP "$(pid_of "$pids/dns")"
    done || true
    sleep 1 # the API server ended the watch, or is not there
  done
}
