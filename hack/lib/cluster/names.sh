# shellcheck shell=bash
# What everything in hack/cluster is called, and where it lies. Sourced by each of its parts.
# shellcheck disable=SC2034 # used by those
declare -F node_dir >/dev/null && return 0

readonly nodes=(node1 node2 node3) zones=(zone-a zone-b zone-c)
readonly bridge=coho0 host_address=10.40.0.1
readonly pods_cidr=10.244.0.0/16 services_cidr=10.96.0.0/16 api_service=10.96.0.1
readonly api=https://$host_address:6443 etcd_url=http://127.0.0.1:12379
readonly pause_image=coho.local/pause:1
readonly volumes_per_node=30
readonly kube=$COHO_ROOT/hack/kube
readonly cluster=$COHO_RUN_DIR/cluster
readonly pki=$cluster/pki logs=$cluster/logs pids=$cluster/pids
bin=$COHO_CACHE/kube-$(recipe_hash "$kube"/{build,go.mod,go.sum,tools.go,pause.c,helm/go.mod,helm/go.sum,helm/tools.go})
readonly bin

node_number() { echo "${1#node}"; }
node_dir() { echo "$cluster/nodes/$1"; }
node_netns() { echo "coho-$1"; }
node_cgroup() { echo "coho-$1"; }
node_address() { echo "10.40.0.$((10 + $(node_number "$1")))"; }
node_pods_cidr() { echo "10.244.$(node_number "$1").0/24"; }
cable() { echo "coho-veth$(node_number "$1")"; }
