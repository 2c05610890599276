#!/usr/bin/env bash
# Taking the demo down leaves nothing: no process, namespace, mount or bridge.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

"$COHO_ROOT/hack/demo" down
ip netns list | grep -q '^coho-' && fail "network namespaces are left: $(ip netns list)"
ip link show coho0 >/dev/null 2>&1 && fail "bridge coho0 is left"
grep -q "$COHO_RUN_DIR" /proc/mounts && fail "mounts are left: $(grep "$COHO_RUN_DIR" /proc/mounts)"
pgrep -f -- "$COHO_RUN_DIR" >/dev/null && fail "processes are left: $(pgrep -af -- "$COHO_RUN_DIR")"
exit 0
