# For the engines' scenarios: what a check prints, and an image made on the spot.
# shellcheck shell=bash

failures=0
out=
# In a container with a limit on memory: more than that. The cgroup, in which engines read of it, stays a while.
# shellcheck disable=SC2034
too_much='dd if=/dev/zero of=/dev/null bs=100M count=1; status=$?; sleep 2; exit $status'

# check WHAT STATUS PATTERN COMMAND…: the command ends with STATUS, and all that it prints (both streams)
# matches the extended regular expression PATTERN as a whole. Prints "ok WHAT" or "not ok WHAT: why".
check() {
  local what=$1 status=$2 pattern=$3 output actual
  shift 3
  # timeout runs programs only; functions have limits of their own.
  [ "$(type -t "$1")" = function ] || set -- timeout --kill-after=5 600 "$@"
  output=$("$@" 2>&1 </dev/null)
  actual=$?
  if [ "$actual" = "$status" ] && [[ $output =~ ^($pattern)$ ]]; then
    echo "ok $what"
  else
    echo "not ok $what: status $actual, ${output//$'\n'/ | }"
    failures=$((failures + 1))
  fi
}

# run COMMAND…: keeps all that the command prints, and "status N", for `has`.
run() {
  [ "$(type -t "$1")" = function ] || set -- timeout --kill-after=5 600 "$@"
  out=$(
    "$@" 2>&1 </dev/null
    echo "status $?"
  )
}

# has WHAT PATTERN: a whole line of what `run` kept matches the extended regular expression.
has() {
  local line
  while IFS= read -r line; do
    [[ $line =~ ^($2)$ ]] || continue
    echo "ok $1"
    return
  done <<<"$out"
  echo "not ok $1: no line $2 in: ${out//$'\n'/ | }"
  failures=$((failures + 1))
}

# await COMMAND…: runs the command until it succeeds, two minutes at most.
await() {
  local end=$((SECONDS + 120))
  until "$@" >/dev/null 2>&1; do
    [ "$SECONDS" -lt "$end" ] || return 1
    sleep 0.1
  done
}

# in_terminal COMMAND…: runs the command in a terminal of 50 columns and 20 lines; ends with its status.
# Carriage returns are left out of what it prints.
in_terminal() {
  timeout 600 python3 -c "
import fcntl, os, pty, struct, sys, termios
pid, terminal = pty.fork()
if pid == 0:
    os.execvp(sys.argv[1], sys.argv[1:])
fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack('HHHH', 20, 50, 0, 0))
try:
    while output := os.read(terminal, 4096):
        os.write(1, output.replace(b'\r', b''))
except OSError:
    pass
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))" "$@"
}

# make_image FILE NAME [COMMAND]: an archive as of `docker save`, with busybox and its applets; users root and
# guest (1000). Docker, containerd and podman load it. FILE is an absolute path.
make_image() (
  file=$1 name=$2 command=${3-\"sh\"}
  folder=$(mktemp -d) || exit
  trap 'rm -rf "$folder"' EXIT
  cd "$folder" || exit
  mkdir -p layer/{bin,etc,proc,sys,dev,root,home,run,var} layer/tmp image
  chmod 1777 layer/tmp
  cp /bin/busybox layer/bin/busybox
  layer/bin/busybox --install layer/bin
  printf 'root:x:0:0:root:/root:/bin/sh\nguest:x:1000:1000::/home:/bin/sh\n' >layer/etc/passwd
  printf 'root:x:0:\nguest:x:1000:\n' >layer/etc/group
  tar --owner=0 --group=0 --mtime=@0 -C layer -cf image/layer.tar .
  digest=$(sha256sum image/layer.tar)
  cat >image/config.json <<JSON
{"architecture":"amd64","os":"linux","created":"2020-01-01T00:00:00Z",
 "config":{"Env":["PATH=/bin"],"Cmd":[$command]},"rootfs":{"type":"layers","diff_ids":["sha256:${digest%% *}"]}}
JSON
  echo "[{\"Config\":\"config.json\",\"RepoTags\":[\"$name\"],\"Layers\":[\"layer.tar\"]}]" >image/manifest.json
  tar -C image -cf "$file" manifest.json config.json layer.tar
)
