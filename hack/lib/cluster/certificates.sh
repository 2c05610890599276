# shellcheck shell=bash
# Certificates and kubeconfigs of everybody in hack/cluster.
# shellcheck source-path=SCRIPTDIR source=names.sh
source "$(dirname "${BASH_SOURCE[0]}")/names.sh"

make_certificates() {
  umask 077
  mkdir -p "$pki" "$logs" "$pids"
  cd "$pki" || return
  openssl ecparam -name prime256v1 -genkey -noout -out ca.key
  openssl req -x509 -new -key ca.key -subj /CN=coho-test-ca -days 3650 -out ca.crt
  openssl ecparam -name prime256v1 -genkey -noout -out service-accounts.key
  openssl ec -in service-accounts.key -pubout -out service-accounts.pub

  make_certificate apiserver /CN=kube-apiserver \
    "IP:$host_address,IP:127.0.0.1,IP:$api_service,DNS:localhost,DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc"
  make_certificate kubelet-client /O=system:masters/CN=kube-apiserver-kubelet-client
  make_client admin /O=system:masters/CN=admin
  make_client kube-controller-manager /CN=system:kube-controller-manager
  make_client kube-scheduler /CN=system:kube-scheduler
  make_client kube-proxy /CN=system:kube-proxy
  local node
  for node in "${nodes[@]}"; do
    make_client "$node" "/O=system:nodes/CN=system:node:$node" "IP:$(node_address "$node"),DNS:$node"
  done
  install -m 600 admin.kubeconfig "$cluster/kubeconfig"
}

make_certificate() {
  local name=$1 subject=$2 names=${3:-}
  openssl ecparam -name prime256v1 -genkey -noout -out "$name.key"
  openssl req -new -key "$name.key" -subj "$subject" -out "$name.csr"
  openssl x509 -req -in "$name.csr" -CA ca.crt -CAkey ca.key -CAcreateserial -days 3650 -out "$name.crt" -extfile <(
    echo "keyUsage=critical,digitalSignature,keyEncipherment"
    echo "extendedKeyUsage=clientAuth,serverAuth"
    [[ -z $names ]] || echo "subjectAltName=$names"
  )
  rm "$name.csr"
}

make_client() {
  make_certificate "$@"
  cat >"$1.kubeconfig" <<EOF
apiVersion: v1
kind: Config
clusters:
- name: coho
  cluster: {server: "$api", certificate-authority-data: $(base64 -w0 ca.crt)}
users:
- name: $1
  user: {client-certificate-data: $(base64 -w0 "$1.crt"), client-key-data: $(base64 -w0 "$1.key")}
contexts:
- name: coho
  context: {cluster: coho, user: $1}
current-context: coho
EOF
}
