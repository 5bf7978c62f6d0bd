#!/usr/bin/env bash
# npm run test:vm: boots a machine with all of cgroup v2 and runs the tests of this folder in it, once
# with an init of our own and once with systemd. The last line is "N passed, N failed".
set -u
cd "$(dirname "$0")/../.." || exit 1

# The emulator, what makes the guest's first file system, and the guest's systemd.
packages=(
  apparmor busybox-static cpio dbus kmod libpam-systemd qemu-system-common qemu-system-x86 systemd
  systemd-sysv xz-utils zstd
)
# The oldest kernel that will do, and a new one, of Debian's security archive.
kernel=linux-image-6.12-amd64
passed=0
failed=0

. test/packages.sh
if install_packages "${packages[@]}" && INITRD=No install_packages "$kernel" &&
  npm run --silent build; then
  passed=1
else
  failed=1
fi

mkdir -p build/vm
for variant in '' --systemd; do
  report="build/vm/results${variant#-}.json"
  rm -f "$report"
  # shellcheck disable=SC2086
  node test/vm/boot.mjs $variant --share build/vm --timeout 1200 -- \
    npx jest --config test/vm/jest.config.js --runInBand --json --outputFile="$report" "$@" >/dev/null
  if counts=$(node test/results.mjs count "$report"); then
    read -r p f _ <<<"$counts"
    passed=$((passed + p))
    failed=$((failed + f))
  else
    failed=$((failed + 1))
  fi
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
