#!/usr/bin/env bash
# inside.sh REPORT RETRIED [ARGUMENT…]: runs this folder's tests, in the machine. See ../jest.sh.
set -u
. test/jest.sh
jest_options=(--config test/vm/jest.config.js)
run_jest_twice "$1" "$2" --runInBand "${@:3}"
