# For the scripts that run tests: jest, and its second try. Options for both are in jest_options, and the
# seconds that a run may take in jest_seconds.

# Runs tests and writes their report. One that waits in the kernel for ever is beyond jest's own time
# limits: half an hour is several times what most take.
run_jest() {
  local report=$1
  shift
  timeout --kill-after=10 "${jest_seconds:-1800}" npx jest "${jest_options[@]}" --json --outputFile="$report" "$@" \
    >/dev/null
}

# run_jest_twice REPORT RETRIED [ARGUMENT…]: runs tests. Kernel and machine are shared by all of them: a
# file in which one fails gets a second try alone, and is named whatever comes of it. What fails
# alone too has failed.
run_jest_twice() {
  local report=$1 retried=$2 again
  shift 2
  rm -f "$report" "$retried"
  run_jest "$report" "$@"
  mapfile -t again < <(node test/results.mjs failed "$report")
  [ ${#again[@]} -eq 0 ] && return
  echo "test: failed, and now tried again alone: ${again[*]}" >&2
  run_jest "$retried" --runInBand --runTestsByPath "${again[@]}"
}
