#!/usr/bin/env bash
# Taking the demo down leaves nothing: no process, namespace, mount or bridge.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# The last chance to see what a failed test left; hack/test deletes it when none failed.
"$COHO_ROOT/hack/lib/collect_artifacts" "$COHO_ROOT/build/artifacts/cluster" >/dev/null 2>&1 || true
[[ -z ${COHO_KEEP:-} ]] || { note "all is left running"; exit 0; }

# A broker or cluster that ran before hack/test did is somebody's, and stays.
kafka_stays='' cluster_stays=''
if ! grep -qsx kafka "$COHO_RUN_DIR/started"; then kafka_stays=1; fi
if ! grep -qsx cluster "$COHO_RUN_DIR/started"; then cluster_stays=1; fi
"$COHO_ROOT/hack/demo" down
if [[ -n $kafka_stays ]]; then "$COHO_ROOT/hack/kafka" status || fail "the broker that ran before was taken down"; fi
if [[ -n $cluster_stays ]]; then
  "$COHO_ROOT/hack/cluster" status || fail "the cluster that ran before was taken down"
  [[ -z $(kubectl get streamjobs --all-namespaces -o name) ]] || fail "jobs are left: $(kubectl get streamjobs --all-namespaces)"
  exit 0
fi
ip netns list | grep -q '^coho-' && fail "network namespaces are left: $(ip netns list)"
ip link show coho0 >/dev/null 2>&1 && fail "bridge coho0 is left"
grep -q "$COHO_RUN_DIR/" /proc/mounts && fail "mounts are left: $(grep "$COHO_RUN_DIR/" /proc/mounts)"
left=$(pgrep -af -- "$COHO_RUN_DIR/" || true)
[[ -z $kafka_stays ]] || left=$(grep -v "$COHO_RUN_DIR/kafka" <<<"$left" || true)
[[ -z $left ]] || fail "processes are left: $left"
