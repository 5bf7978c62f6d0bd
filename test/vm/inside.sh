#!/usr/bin/env bash
# inside.sh CONFIG REPORT RETRIED [ARGUMENT…]: runs tests, in the machine. See ../jest.sh.
set -u
. test/jest.sh
jest_options=(--config "$1")
# The machine has a limit of its own.
jest_seconds=14400
run_jest_twice "$2" "$3" --runInBand "${@:4}"
