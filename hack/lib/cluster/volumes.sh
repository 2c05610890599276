# shellcheck shell=bash
# The PersistentVolumes of hack/cluster, and who offers them again.
# shellcheck source-path=SCRIPTDIR source=names.sh
source "$(dirname "${BASH_SOURCE[0]}")/names.sh"

make_volumes() {
  local node number
  {
    cat <<'EOF'
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: local, annotations: {storageclass.kubernetes.io/is-default-class: "true"}}
provisioner: kubernetes.io/no-provisioner
volumeBindingMode: WaitForFirstConsumer
reclaimPolicy: Retain
EOF
    for node in "${nodes[@]}"; do
      for ((number = 1; number <= volumes_per_node; number++)); do
        make_volume "$node-$(printf %02d "$number")"
      done
    done
  } >"$cluster/volumes.yaml"
  kubectl create -f "$cluster/volumes.yaml"
  start_process "$pids/volume-recycler" "$logs/volume-recycler.log" "$COHO_ROOT/hack/cluster" recycle-volumes
}

# An empty directory, and the manifest of the volume that it is.
make_volume() {
  local name=$1 node=${1%-*} path
  path=$(node_dir "$node")/volumes/$name
  mkdir -p "$path"
  chmod 755 "$path"
  cat <<EOF
---
apiVersion: v1
kind: PersistentVolume
metadata: {name: $name}
spec:
  capacity: {storage: 10Gi}
  accessModes: [ReadWriteOnce]
  persistentVolumeReclaimPolicy: Retain
  storageClassName: local
  volumeMode: Filesystem
  local: {path: "$path"}
  nodeAffinity:
    required:
      nodeSelectorTerms:
      - matchExpressions: [{key: kubernetes.io/hostname, operator: In, values: [$node]}]
EOF
}

# What a provisioner of local volumes does: a volume whose claim is gone is emptied and offered again under its old name.
recycle_volumes() {
  local name phase
  while :; do
    kubectl get persistentvolumes --watch -o 'jsonpath={.metadata.name} {.status.phase}{"\n"}' | while read -r name phase; do
      [[ $phase != Released ]] || recycle_volume "$name" || echo "could not recycle $name"
    done || true
    sleep 1 # the API server ended the watch, or is not there
  done
}

recycle_volume() {
  local name=$1 path trash
  path=$(node_dir "${name%-*}")/volumes/$name
  trash=${path%/*}/.trash
  # The watch repeats itself when it is renewed: look again.
  [[ $(kubectl get persistentvolume "$name" -o 'jsonpath={.status.phase}') == Released ]] || return 0
  # Aside first: whoever still has it open (a container on a node cut off) must not see the new volume, nor fill it.
  mkdir -p "$trash" && mv -T "$path" "$trash/$name.$EPOCHREALTIME" || return
  kubectl delete persistentvolume "$name" --wait --timeout=60s || return
  make_volume "$name" | kubectl create -f - || return
  rm -rf -- "$trash/$name".*
}
