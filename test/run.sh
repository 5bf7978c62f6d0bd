#!/usr/bin/env bash
# npm test: installs what the tests compare scow with, then build, lint and all tests.
# The last line is "N passed, N failed"; the status is 0 only if nothing failed.
set -u
cd "$(dirname "$0")/.." || exit 1

# Peers (runc, crun, umoci, skopeo, buildah), what makes images (debootstrap, busybox-static,
# setfattr, setcap, zstd), what shows what happened (objdump in binutils, strace, ps in procps),
# newuidmap, shells whose completion is tried, mandoc and groff for the man pages, python3, which holds
# sockets, and a registry (with htpasswd in apache2-utils, and openssl for its certificates).
packages=(
  apache2-utils attr binutils buildah busybox-static crun debootstrap docker-registry fish groff-base libcap2-bin libisal2 libseccomp2 mandoc
  openssl procps podman python3 runc skopeo strace uidmap umoci util-linux zsh zstd
)
. test/packages.sh
. test/jest.sh
results=build/test-results.json
retried=build/test-results-retried.json
passed=0
failed=0

# Runs a command and counts it as one test.
check() {
  local name=$1
  shift
  if "$@"; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
    echo "test: $name failed" >&2
  fi
}

[ "$(id -u)" = 0 ] || echo 'test: containers of root are tested too: run this as root' >&2
check 'apt-get' install_packages "${packages[@]}"
check 'build' npm run --silent build
check 'lint' npm run --silent lint

# All processors: by default jest leaves one idle, half of them on a small machine.
jest_options=()
run_jest_twice "$results" "$retried" --maxWorkers=100% "$@"
skipped=0
if counts=$(node test/results.mjs count "$results" "$retried"); then
  read -r p f skipped <<<"$counts"
  passed=$((passed + p))
  failed=$((failed + f))
else
  failed=$((failed + 1))
fi

line="$passed passed, $failed failed"
[ "$skipped" -eq 0 ] || line="$line, $skipped skipped"
echo "$line"
[ "$failed" -eq 0 ]
