# For the scenarios of containerd and of the engines on top of it: namespaces, a folder and a daemon of
# their own. Arguments: RUNTIME [systemd].
# shellcheck shell=bash

if [ -z "${SCOW_ISOLATED-}" ]; then
  SCOW_ISOLATED=yes exec unshare --mount --net --propagation private bash "$0" "$@"
fi
. "$(dirname "$0")/checks.sh"
runtime=$(realpath "$1")
driver=${2-cgroupfs}
scratch=$(mktemp -d /tmp/scow-engine-XXXXXX)
export CONTAINERD_ADDRESS=$scratch/containerd.sock

# start_containerd [SETTINGS]: with these settings beside where its files are.
start_containerd() {
  local settings=${1-'disabled_plugins = ["io.containerd.grpc.v1.cri"]'}
  rm -f "$CONTAINERD_ADDRESS"
  cat >"$scratch/containerd.toml" <<TOML
version = 2
root = "$scratch/root"
state = "$scratch/state"
$settings
[grpc]
address = "$CONTAINERD_ADDRESS"
TOML
  PATH=$scratch/bin:$PATH containerd --config "$scratch/containerd.toml" >>"$scratch/containerd.log" 2>&1 &
  containerd=$!
  await test -S "$CONTAINERD_ADDRESS"
}

# stop PID [SIGNAL]: ends a daemon.
stop() {
  kill "-${2-TERM}" "$1"
  wait "$1"
} 2>/dev/null

# clean_up: what the scenario has started ends before containerd does.
clean_up() {
  stop_containers
  stop "$containerd"
  umount --recursive "$scratch"
  rmdir "$scratch"
} >/dev/null 2>&1

# The shims' sockets are in /run/containerd, wherever the daemon has its state.
mkdir -p /run/containerd
mount -t tmpfs scow /run/containerd
mount -t tmpfs scow "$scratch"
mkdir "$scratch/bin"
ip link set lo up
trap clean_up EXIT
