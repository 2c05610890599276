# shellcheck shell=bash
# What hack/cluster runs: Debian's packages, and Kubernetes and Helm, which are built from source into the cache.
# shellcheck source-path=SCRIPTDIR source=names.sh
source "$(dirname "${BASH_SOURCE[0]}")/names.sh"

fetch() {
  step "cluster: prerequisites" install_prerequisites
  [[ -e $bin/pause.tar ]] || step "cluster: sources of Kubernetes and Helm" "$kube/build" --download
}

build() {
  step "cluster: prerequisites" install_prerequisites
  [[ -e $bin/pause.tar ]] || step "cluster: build Kubernetes and Helm" build_binaries
}

install_prerequisites() {
  # By command, not by package: a CI machine may have the same programs from elsewhere.
  local command_and_package packages=()
  for command_and_package in containerd:containerd ctr:containerd runc:runc etcd:etcd-server iptables:iptables conntrack:conntrack \
    ip:iproute2 dnsmasq:dnsmasq-base openssl:openssl curl:curl nsenter:util-linux mount:mount; do
    command -v "${command_and_package%:*}" >/dev/null || packages+=("${command_and_package#*:}")
  done
  [[ -x /usr/lib/cni/bridge ]] || packages+=(containernetworking-plugins)
  if [[ ! -e $bin/pause.tar ]]; then
    command -v gcc >/dev/null || packages+=(gcc libc6-dev)
    command -v go >/dev/null || packages+=(golang-go)
  fi
  ((${#packages[@]} == 0)) || ensure_apt "${packages[@]}"
  # Built in or loaded already, or the kernel loads them on demand where modprobe is missing.
  local module
  for module in overlay br_netfilter nf_conntrack veth; do modprobe -q "$module" 2>/dev/null || true; done
}

build_binaries() {
  exec 7>"$bin.lock" # until this step ends
  flock 7
  [[ ! -e $bin/pause.tar ]] || return 0
  local wip=$bin.wip # kept when interrupted, renamed when complete
  "$kube/build" "$wip"
  mv -T "$wip" "$bin"
}
