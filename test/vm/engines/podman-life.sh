#!/usr/bin/env bash
# podman-life.sh RUNTIME [systemd]: the life of containers under podman, seen from outside: exec, logs, signals,
# health checks, copies. Prints one line for each check; the exit status is 1 if one failed.
set -u
. "$(dirname "$0")/containers.sh"

logged() {
  podman logs "$1" 2>&1 | grep -qx "$2"
}
status='{{.State.Status}} {{.State.ExitCode}}'

# It takes USR1 and TERM with a word only: its end is KILL.
podman run --detach --name stubborn --health-cmd 'test -e /healthy' --health-interval disable "$box" sh -c '
  trap "echo usr1" USR1; trap "echo term" TERM; echo started; echo to-stderr >&2
  while :; do sleep 0.1; done' >/dev/null
check 'logs of standard output' 0 '' await logged stubborn started
check 'logs of standard error' 0 '' await logged stubborn to-stderr

run podman exec --env ONE=1 --workdir /home --user guest stubborn sh -c '
  echo "env $ONE"; echo "cwd $PWD"; echo "user $(id -un)"; echo "first $(cat /proc/1/comm)"
  grep -E "Seccomp:|CapEff" /proc/self/status | tr "\t" " "; exit 7'
has 'exec --env' 'env 1'
has 'exec --workdir' 'cwd /home'
has 'exec --user' 'user guest'
has 'exec is in the container' 'first sh'
has 'exec has the seccomp filter' 'Seccomp: 2'
has 'exec of an ordinary user has no capabilities' 'CapEff: 0000000000000000'
has 'exec ends with the status of its program' 'status 7'
check 'exec of a program that is not there' 127 '.*(no such file|not found).*' podman exec stubborn nothing
check 'exec of a program that may not be executed' 126 '.*permission denied.*' \
  podman exec stubborn /etc/passwd
check 'exec --interactive, --preserve-fds' 0 'one.two' \
  sh -c "echo one | podman exec -i --preserve-fds 1 stubborn sh -c 'cat; cat <&3' 3<<-E
two
E"
check 'exec --tty has the size of the terminal' 0 '/dev/pts/[0-9]+.*20 50.*' \
  in_terminal podman exec -it stubborn sh -c "tty; $settled; stty size"
check 'exec --privileged' 0 '0+1[ef]+' \
  podman exec --privileged stubborn sh -c 'grep CapEff /proc/self/status | cut -f2; echo >/healthy'
check 'health check' 0 'healthy' \
  sh -c "podman healthcheck run stubborn && podman inspect --format '{{.State.Health.Status}}' stubborn"
check 'top' 0 'PID.*1 .*sh.*filter.*' podman top stubborn pid comm seccomp

podman kill --signal USR1 stubborn >/dev/null
check 'kill --signal' 0 '' await logged stubborn usr1
check 'stop with a time limit' 0 'term.exited 137' sh -c \
  "podman stop --time 3 stubborn >/dev/null 2>&1; podman logs stubborn 2>&1 | grep term; podman inspect --format '$status' stubborn"

started() {
  [ "$(podman logs stubborn 2>/dev/null | grep -c started)" = "$1" ]
}
podman start stubborn >/dev/null
await started 2
podman restart --time 0 stubborn >/dev/null
check 'start again, and restart' 0 '' await started 3

# An ordinary user's podman does all this by the same calls of the runtime.
if [ "$(id -u)" = 0 ]; then
  mkdir from
  echo from-outside >from/file
  check 'cp' 0 'from-outside' \
    sh -c 'podman cp from stubborn:/home/to && podman cp stubborn:/home/to/file - | tar -xO'
  check 'diff' 0 '.*A /home/to/file.*' podman diff stubborn
  check 'commit' 0 'from-outside' \
    sh -c 'podman commit -q stubborn copy >/dev/null && podman run --rm copy cat /home/to/file'
  check 'kill' 0 'exited 137' sh -c \
    "podman kill stubborn >/dev/null; podman wait stubborn >/dev/null; podman inspect --format '$status' stubborn"
  check 'wait' 0 '5' sh -c "podman wait \$(podman run --detach $box sh -c 'sleep 1; exit 5')"
  check 'create, then start --attach' 3 'attached' sh -c \
    "podman create --name later $box sh -c 'echo attached; exit 3' >/dev/null; podman start --attach later"
  once() {
    [ "$(podman inspect --format '{{.RestartCount}} {{.State.Status}}' again)" = '1 exited' ]
  }
  podman run --detach --restart on-failure:1 --name again "$box" false >/dev/null
  check 'restart by policy' 0 '' await once
  podman run --rm "$box" sh -c 'trap "echo term; exit 4" TERM; echo ready; while :; do sleep 0.1; done' >signalled 2>&1 &
  await grep -q ready signalled
  kill -TERM $!
  wait $!
  check 'a signal to podman run reaches the program, and its status comes back' 0 '4.ready.term' echo "$?
$(cat signalled)"
fi
exit "$((failures > 0))"
