#!/usr/bin/env bash
# npm run test:vm: boots a machine with all of cgroup v2 and runs the tests of this folder in it, once
# with an init of our own and once with systemd. The last line is "N passed, N failed".
# npm run test:engines runs the tests of engines/ instead, which take longer.
# SCOW_VM_SECONDS is how long both machines may take together.
set -u
cd "$(dirname "$0")/../.." || exit 1

# The emulator, what makes the guest's first file system, and the guest's systemd.
packages=(
  apparmor busybox-static cpio dbus kmod libpam-systemd procps python3 qemu-system-common
  qemu-system-x86 systemd systemd-sysv uidmap util-linux xz-utils zstd
)
if [ "${1:-}" = engines ]; then
  # The peers, and the engines with what they need for networks and ordinary users.
  packages+=(
    buildah catatonit conmon containerd crun dbus-user-session docker.io iptables netavark podman runc
    slirp4netns
  )
  config=test/vm/engines/jest.config.js seconds=14400
  shift
else
  config=test/vm/jest.config.js seconds=2400
fi
# The oldest kernel that will do, and a new one, of Debian's security archive.
kernel=linux-image-6.12-amd64
passed=0
failed=0

. test/packages.sh
if install_packages "${packages[@]}" && INITRD=No install_packages "$kernel" &&
  npm run --silent build; then
  passed=1
else
  echo 'test/vm: what the machine is made of could not be installed or built' >&2
  failed=1
fi

deadline=$((SECONDS + ${SCOW_VM_SECONDS:-$seconds}))
mkdir -p build/vm
# run_machine VARIANT SECONDS [ARGUMENT…]. A machine that ends without a result gets a second try: in
# emulation a kernel that patches itself may panic.
run_machine() {
  local variant=$1 end=$((SECONDS + $2)) report="build/vm/results-$1.json"
  local retried="build/vm/retried-$1.json" began=$SECONDS options=(--share build/vm) counts p f _
  shift 2
  [ "$variant" = plain ] || options+=("--$variant")
  rm -f "$report" "$retried"
  for _ in 1 2; do
    node test/vm/boot.mjs "${options[@]}" --timeout $((end - SECONDS)) -- \
      bash test/vm/inside.sh "$config" "$report" "$retried" "$@"
    [ $? -eq 125 ] || break
  done
  if [ -e "$report" ] && counts=$(node test/results.mjs count "$report" "$retried"); then
    read -r p f _ <<<"$counts"
  else
    p=0 f=1
  fi
  echo "test/vm: $variant: $p passed, $f failed in $((SECONDS - began)) s"
  passed=$((passed + p))
  failed=$((failed + f))
}
# The first leaves the other its part of the time.
run_machine plain $(((deadline - SECONDS) / 2)) "$@"
run_machine systemd $((deadline - SECONDS)) "$@"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
