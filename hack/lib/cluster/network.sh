# shellcheck shell=bash
# The network of hack/cluster: a bridge, a namespace and a cable for each node, routes to pods and services.
# shellcheck source-path=SCRIPTDIR source=names.sh
source "$(dirname "${BASH_SOURCE[0]}")/names.sh"

make_network() {
  [[ -d /run/netns ]] || echo /run/netns >>"$cluster/made-directories"
  ip link add "$bridge" type bridge
  ip address add "$host_address/24" dev "$bridge"
  ip link set "$bridge" up
  local node netns other
  for node in "${nodes[@]}"; do
    netns=$(node_netns "$node")
    ip netns add "$netns"
    ip link add "$(cable "$node")" type veth peer name eth0 netns "$netns"
    ip link set "$(cable "$node")" master "$bridge" up
    ip -n "$netns" address add "$(node_address "$node")/24" dev eth0
    ip -n "$netns" link set lo up
    ip -n "$netns" link set eth0 up
    ip -n "$netns" route add default via "$host_address"
    # From node to node on the bridge; this machine forwards nothing and need not be asked to.
    for other in "${nodes[@]}"; do
      [[ $other == "$node" ]] || ip -n "$netns" route add "$(node_pods_cidr "$other")" via "$(node_address "$other")"
    done
    nsenter --net="/run/netns/$netns" sh -c '
      echo 1 >/proc/sys/net/ipv4/ip_forward
      echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6 || true
      echo 1 >/proc/sys/net/bridge/bridge-nf-call-iptables || true'
    add_pod_route "$node"
  done
  # Services, for programs on this machine, by way of a node's kube-proxy.
  ip route replace "$services_cidr" via "$(node_address node1)"
  open_host_firewall
}

# Routes vanish with the carrier of a single cable, not with the bridge; but heal calls this too, because it costs nothing.
add_pod_route() { ip route replace "$(node_pods_cidr "$1")" via "$(node_address "$1")"; }

# Where something (Docker, say) made this machine drop what it does not know, let the bridge's traffic pass.
open_host_firewall() {
  local chain
  for chain in INPUT FORWARD; do
    if iptables -S "$chain" 2>/dev/null | grep -q "^-P $chain DROP"; then
      iptables -I "$chain" -i "$bridge" -j ACCEPT -m comment --comment coho
    fi
  done
}

close_host_firewall() {
  local chain
  for chain in INPUT FORWARD; do
    while iptables -D "$chain" -i "$bridge" -j ACCEPT -m comment --comment coho 2>/dev/null; do :; done
  done
}
