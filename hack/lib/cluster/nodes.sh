# shellcheck shell=bash
# The nodes of hack/cluster: to boot one, to pull its plug, and to wait until Kubernetes takes them for ready.
# shellcheck source-path=SCRIPTDIR source=names.sh
source "$(dirname "${BASH_SOURCE[0]}")/names.sh"

# Directories whose names are fixed in the kubelet, in containerd or in CNI plugins: hack/kube/node-init hides them behind private
# copies, for which they have to exist. Those that did not are removed again by `down`.
readonly private_directories=(/var/lib/kubelet /var/lib/cni /var/log/containers /var/log/pods /run/containerd)
# What the kubelet writes there concerns the whole machine, so `down` puts back what was there.
readonly kubelet_sysctls=(vm/overcommit_memory vm/panic_on_oom kernel/panic kernel/panic_on_oops kernel/keys/root_maxkeys kernel/keys/root_maxbytes)

start_nodes() {
  local node directory key background=()
  for directory in "${private_directories[@]}"; do
    [[ -d $directory ]] || { mkdir -p "$directory"; echo "$directory" >>"$cluster/made-directories"; }
  done
  for key in "${kubelet_sysctls[@]}"; do
    [[ ! -r /proc/sys/$key ]] || echo "$key $(cat "/proc/sys/$key")" >>"$cluster/sysctls-before"
  done
  for node in "${nodes[@]}"; do
    boot_node "$node" &
    background+=($!)
  done
  local pid
  for pid in "${background[@]}"; do wait "$pid"; done
}

boot_node() {
  local node=$1 dir
  dir=$(node_dir "$node")
  if process_runs "$dir/init.pid"; then return; fi
  ulimit -Sn "$(ulimit -Hn)" # containers inherit it, and RocksDB opens many files
  make_node_files "$node"
  make_node_cgroup "$node"

  # Killing the init is the node's end: `unshare` then ends by itself.
  start_process "$dir/unshare.pid" "$logs/$node-init.log" \
    nsenter --net="/run/netns/$(node_netns "$node")" \
    unshare --mount --pid --fork --propagation private "$kube/node-init" "$dir"
  wait_until 20 "$node is initialized" test -e "$dir/initialized"
  record_process "$dir/init.pid" "$(child_of "$dir/unshare.pid")"

  start_in_node "$node" containerd containerd --config "$dir/containerd.toml" --log-level warn
  wait_until 60 "$node's containerd answers" ctr -a "$dir/containerd.sock" version
  ctr -a "$dir/containerd.sock" -n k8s.io images import "$bin/pause.tar"
  start_kubelet "$node"
  start_in_node "$node" kube-proxy "$bin/kube-proxy" --config "$dir/kube-proxy.yaml"
}

kill_node() {
  local dir
  dir=$(node_dir "$1")
  stop_process "$dir/init.pid" 30 KILL
  stop_process "$dir/unshare.pid" 10 KILL
  # What a machine forgets when it loses power.
  rm -rf -- "$dir"/{kubelet,containerd,kube-proxy}.pid "$dir/initialized" "$dir/containerd.sock"* "$dir/containerd-state"
  # Its network namespace is a thing of this script and survives; a reboot empties it.
  clean_node_netns "$1"
}

# Service rules and pod interfaces of a node that is no more.
clean_node_netns() {
  local netns link
  netns=$(node_netns "$1")
  [[ -e /run/netns/$netns ]] || return 0
  ip -n "$netns" -o link show | sed -n 's/^[0-9]*: \(veth[^:@]*\|cni0\)[:@].*/\1/p' | while read -r link; do
    ip -n "$netns" link delete "$link" 2>/dev/null || true
  done
  # shellcheck disable=SC2016
  nsenter --net="/run/netns/$netns" sh -c 'iptables-save | sed -n "s/^\*//p" | while read -r t; do iptables -t $t -F; iptables -t $t -X; done' || true
  nsenter --net="/run/netns/$netns" conntrack -F >/dev/null 2>&1 || true
}

start_in_node() {
  local node=$1 name=$2 dir
  shift 2
  dir=$(node_dir "$node")
  start_process "$dir/$name.pid" "$logs/$node-$name.log" nsenter --target "$(pid_of "$dir/init.pid")" --mount --pid --net "$@"
}

start_kubelet() {
  local dir
  dir=$(node_dir "$1")
  if process_runs "$dir/kubelet.pid"; then return; fi
  start_in_node "$1" kubelet "$bin/kubelet" --config "$dir/kubelet.yaml" --kubeconfig "$pki/$1.kubeconfig" \
    --root-dir /var/lib/kubelet --hostname-override "$1" --node-ip "$(node_address "$1")" \
    --node-labels "topology.kubernetes.io/zone=${zones[$(node_number "$1") - 1]}"
}

# One directory in every hierarchy (v1), or one in the only one (v2).
make_node_cgroup() {
  local name hierarchy
  name=$(node_cgroup "$1")
  if [[ -e /sys/fs/cgroup/cgroup.controllers ]]; then
    local controller controllers
    read -r -a controllers </sys/fs/cgroup/cgroup.controllers
    for controller in "${controllers[@]}"; do
      echo "+$controller" >/sys/fs/cgroup/cgroup.subtree_control || true # some may be held by others
    done
    mkdir -p "/sys/fs/cgroup/$name"
    return
  fi
  for hierarchy in /sys/fs/cgroup/*/; do
    mkdir -p "$hierarchy$name"
    # In a new cpuset nothing may run until it has got CPUs and memory nodes.
    if [[ -e $hierarchy$name/cpuset.cpus ]]; then
      cat "${hierarchy}cpuset.cpus" >"$hierarchy$name/cpuset.cpus"
      cat "${hierarchy}cpuset.mems" >"$hierarchy$name/cpuset.mems"
    fi
  done
}

remove_node_cgroups() {
  local node
  for node in "${nodes[@]}"; do
    find /sys/fs/cgroup -maxdepth 2 -type d -name "$(node_cgroup "$node")" -print0 | while IFS= read -r -d '' directory; do
      find "$directory" -depth -type d -exec rmdir {} +
    done
  done
}

await_nodes() {
  wait_until 120 "three nodes are ready" nodes_are_ready || {
    kubectl get nodes -o wide
    tail -n 10 "$logs"/node*-kubelet.log
    return 1
  }
  # Pods cannot be made in a namespace without it.
  wait_until 60 "the default service account is there" kubectl get serviceaccount default
}

nodes_are_ready() {
  [[ $(kubectl get nodes -o 'jsonpath={range .items[*]}{.status.conditions[?(@.type=="Ready")].status}{"\n"}{end}' |
    grep -c True) == "${#nodes[@]}" ]]
}
