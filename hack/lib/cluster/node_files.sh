# shellcheck shell=bash
# What containerd, the kubelet and kube-proxy of a node of hack/cluster read.
# shellcheck source-path=SCRIPTDIR source=names.sh
source "$(dirname "${BASH_SOURCE[0]}")/names.sh"

make_node_files() {
  local node=$1 dir snapshotter=overlayfs
  dir=$(node_dir "$node")
  mkdir -p "$dir"/{cni,containerd,containerd-state,private,pod-logs,volumes}
  rm -f -- "$dir/initialized"
  # An overlay cannot lie on an overlay, which is what the run directory may be on if this machine is itself a container.
  [[ $(stat -f -c %T "$dir") != overlayfs ]] || snapshotter=native

  cat >"$dir/cni/10-coho.conflist" <<EOF
{"cniVersion": "0.4.0", "name": "coho", "plugins": [
  {"type": "bridge", "bridge": "cni0", "isGateway": true, "hairpinMode": true,
   "ipam": {"type": "host-local", "ranges": [[{"subnet": "$(node_pods_cidr "$node")"}]], "routes": [{"dst": "0.0.0.0/0"}]}},
  {"type": "portmap", "capabilities": {"portMappings": true}}]}
EOF

  # restrict_oom_score_adj: a machine without CAP_SYS_RESOURCE may not lower the score, and every sandbox would fail.
  cat >"$dir/containerd.toml" <<EOF
version = 2
root = "$dir/containerd"
state = "$dir/containerd-state"
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.aufs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.internal.v1.opt"]
[grpc]
  address = "$dir/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "$pause_image"
  restrict_oom_score_adj = true
  disable_apparmor = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "$snapshotter"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "$dir/cni"
EOF

  # Leases are renewed every quarter of their duration: several times within COHO_NODE_GRACE.
  cat >"$dir/kubelet.yaml" <<EOF
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: "$pki/ca.crt"}}
authorization: {mode: Webhook}
tlsCertFile: "$pki/$node.crt"
tlsPrivateKeyFile: "$pki/$node.key"
containerRuntimeEndpoint: "unix://$dir/containerd.sock"
cgroupDriver: cgroupfs
cgroupRoot: "/$(node_cgroup "$node")"
enforceNodeAllocatable: []
failSwapOn: false
failCgroupV1: false
oomScoreAdj: 0
podLogsDir: "$dir/pod-logs"
volumePluginDir: "$dir/volume-plugins"
clusterDomain: cluster.local
clusterDNS: ["$host_address"]
resolvConf: ""
maxPods: 200
serializeImagePulls: false
evictionHard: {memory.available: "50Mi", nodefs.available: "1%", nodefs.inodesFree: "1%", imagefs.available: "1%"}
imageGCHighThresholdPercent: 100
imageGCLowThresholdPercent: 99
nodeLeaseDurationSeconds: 12
nodeStatusUpdateFrequency: 4s
# Tests kill a container many times in a minute; the usual back-off of up to five minutes would only make them wait.
featureGates: {KubeletCrashLoopBackOffMax: true}
crashLoopBackOff: {maxContainerRestartPeriod: 2s}
EOF

  # A network namespace other than the first may not set the machine's connection tracking limits.
  cat >"$dir/kube-proxy.yaml" <<EOF
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: iptables
clientConnection: {kubeconfig: "$pki/kube-proxy.kubeconfig"}
hostnameOverride: $node
clusterCIDR: $pods_cidr
oomScoreAdj: 0
conntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}
EOF
}
