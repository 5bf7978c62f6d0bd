# For the scenarios of podman and buildah: namespaces, configuration, storage and an image of their own, so
# that nothing of the machine's is touched. Arguments: RUNTIME [systemd].
# shellcheck shell=bash

if [ "$(id -u)" = 0 ] && [ -z "${SCOW_ISOLATED-}" ]; then
  SCOW_ISOLATED=yes exec unshare --mount --net --propagation private bash "$0" "$@"
fi
. "$(dirname "$0")/checks.sh"
runtime=$(realpath "$1")
manager=${2:-cgroupfs}
# Overlays need a file system of the kernel's own below them: for root it is mounted.
scratch=$(mktemp -d "${XDG_RUNTIME_DIR:-/tmp}/scow-engine-XXXXXX")
chmod 755 "$scratch"

# In a container: waits until its terminal has been given a size.
# shellcheck disable=SC2034
settled='for _ in $(seq 100); do [ "$(stty size)" = "0 0" ] || break; sleep 0.1; done'

clean_up() {
  cd /
  podman pod rm --all --force
  podman rm --all --force --time 0
  if [ "$(id -u)" = 0 ]; then
    umount -R "$scratch/storage" "$scratch"
    rmdir "$scratch"
  else
    podman unshare rm -rf "$scratch"/{storage,volumes}
    # The process that keeps podman's namespaces.
    kill "$(<"$scratch/state/pause.pid")"
    rm -rf "$scratch"
  fi
} >/dev/null 2>&1

trap clean_up EXIT
if [ "$(id -u)" = 0 ]; then
  mount -t tmpfs scow "$scratch"
  # Where addresses of networks are given out.
  mkdir -p /run/containers
  mount -t tmpfs scow /run/containers
  ip link set lo up
else
  # An ordinary user's podman knows here what is mounted, wherever runroot is: what it finds there of another
  # storage it forgets, and that one's mounts go.
  mkdir --mode 700 "$scratch/runtime"
  ln -s "$XDG_RUNTIME_DIR"/{bus,systemd} "$scratch/runtime"
  export XDG_RUNTIME_DIR=$scratch/runtime
fi
mkdir -p "$scratch"/{storage,run,tmp,volumes,networks}
# Also where builds keep their caches.
export TMPDIR=$scratch/tmp
export CONTAINERS_CONF=$scratch/containers.conf CONTAINERS_STORAGE_CONF=$scratch/storage.conf
cat >"$CONTAINERS_CONF" <<TOML
[containers]
netns = "none"
[network]
network_backend = "netavark"
network_config_dir = "$scratch/networks"
[engine]
pull_policy = "never"
cgroup_manager = "$manager"
events_logger = "file"
lock_type = "file"
tmp_dir = "$scratch/state"
volume_path = "$scratch/volumes"
init_path = "/usr/bin/catatonit"
runtime = "tested"
runtime_supports_json = ["tested"]
runtime_supports_nocgroup = ["tested"]
[engine.runtimes]
tested = ["$runtime"]
TOML
cat >"$CONTAINERS_STORAGE_CONF" <<TOML
[storage]
driver = "overlay"
graphroot = "$scratch/storage"
rootless_storage_path = "$scratch/storage"
runroot = "$scratch/run"
TOML
cd "$scratch" || exit
make_image "$scratch/image.tar" localhost/box:1
podman load --quiet --input image.tar >/dev/null || exit
# shellcheck disable=SC2034
box=localhost/box:1
