#!/usr/bin/env bash
# npm run test:faults: every call of every command fails, or is the last before its maker is killed.
# The last line is "N passed, N failed"; the status is 0 only if nothing failed.
set -u
cd "$(dirname "$0")/../.." || exit 1

. test/packages.sh
. test/jest.sh
results=build/faults.json
retried=build/faults-retried.json
install_packages busybox-static procps strace uidmap util-linux && npm run --silent build || {
  echo '0 passed, 1 failed'
  exit 1
}
jest_options=(--config test/faults/jest.config.js)
run_jest_twice "$results" "$retried" --maxWorkers=100% "$@"
read -r passed failed _ < <(node test/results.mjs count "$results" "$retried" || echo 0 1)
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
