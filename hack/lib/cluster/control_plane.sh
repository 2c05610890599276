# shellcheck shell=bash
# etcd, the API server, the controller manager and the scheduler of hack/cluster, as processes of this machine.
# shellcheck source-path=SCRIPTDIR source=names.sh
source "$(dirname "${BASH_SOURCE[0]}")/names.sh"

start_control_plane() {
  start_process "$pids/etcd" "$logs/etcd.log" \
    etcd --data-dir "$cluster/etcd" --unsafe-no-fsync --log-level warn --logger zap \
    --listen-client-urls "$etcd_url" --advertise-client-urls "$etcd_url" \
    --listen-peer-urls http://127.0.0.1:12380 --initial-advertise-peer-urls http://127.0.0.1:12380 --initial-cluster default=http://127.0.0.1:12380
  wait_until 30 "etcd is healthy" healthy_or_dead "$pids/etcd" curl -sf "$etcd_url/health"
  assert_runs etcd
  start_api_server
  start_process "$pids/kube-controller-manager" "$logs/kube-controller-manager.log" \
    kube-controller-manager --kubeconfig="$pki/kube-controller-manager.kubeconfig" \
    --authentication-kubeconfig="$pki/kube-controller-manager.kubeconfig" \
    --authorization-kubeconfig="$pki/kube-controller-manager.kubeconfig" --bind-address=127.0.0.1 \
    --use-service-account-credentials --leader-elect=false \
    --service-account-private-key-file="$pki/service-accounts.key" --root-ca-file="$pki/ca.crt" \
    --node-monitor-period=2s --node-monitor-grace-period="${COHO_NODE_GRACE:-10s}" \
    --kube-api-qps=100 --kube-api-burst=200
  start_process "$pids/kube-scheduler" "$logs/kube-scheduler.log" \
    kube-scheduler --kubeconfig="$pki/kube-scheduler.kubeconfig" --authentication-kubeconfig="$pki/kube-scheduler.kubeconfig" \
    --authorization-kubeconfig="$pki/kube-scheduler.kubeconfig" --bind-address=127.0.0.1 --leader-elect=false \
    --kube-api-qps=100 --kube-api-burst=200
}

start_api_server() {
  if process_runs "$pids/kube-apiserver"; then return; fi
  start_process "$pids/kube-apiserver" "$logs/kube-apiserver.log" \
    kube-apiserver --etcd-servers="$etcd_url" \
    --bind-address="$host_address" --advertise-address="$host_address" --secure-port=6443 \
    --service-cluster-ip-range="$services_cidr" \
    --client-ca-file="$pki/ca.crt" --tls-cert-file="$pki/apiserver.crt" --tls-private-key-file="$pki/apiserver.key" \
    --service-account-issuer=https://kubernetes.default.svc \
    --service-account-key-file="$pki/service-accounts.pub" --service-account-signing-key-file="$pki/service-accounts.key" \
    --authorization-mode=Node,RBAC --enable-admission-plugins=NodeRestriction --allow-privileged=true \
    --kubelet-preferred-address-types=InternalIP --kubelet-certificate-authority="$pki/ca.crt" \
    --kubelet-client-certificate="$pki/kubelet-client.crt" --kubelet-client-key="$pki/kubelet-client.key"
  wait_until 120 "the API server is ready" healthy_or_dead "$pids/kube-apiserver" curl -sf --cacert "$pki/ca.crt" "$api/readyz"
  assert_runs kube-apiserver
}

healthy_or_dead() {
  "${@:2}" || ! process_runs "$1"
}

assert_runs() {
  process_runs "$pids/$1" && return
  tail -n 20 "$logs/$1.log"
  echo "$1 ended; the log above is $logs/$1.log"
  return 1
}
