#!/usr/bin/env bash
# containerd.sh RUNTIME [systemd]: what containerd does with an OCI runtime, through ctr, in mount and
# network namespaces of its own. With "systemd" the cgroups are scopes that systemd makes.
# Prints one line for each check; the exit status is 1 if one failed.
set -u
. "$(dirname "$0")/containerd-daemon.sh"
# Cgroups are called after containerd's namespace.
export CONTAINERD_NAMESPACE=${scratch##*/}
image=docker.io/library/box:1

stop_containers() {
  local id
  for id in $(ctr task ls -q); do ctr task delete --force "$id"; done
  rmdir "/sys/fs/cgroup/$CONTAINERD_NAMESPACE"
}

# With --uidmap ctr forgets --runc-binary: then containerd looks for runc in PATH.
ln -s "$runtime" "$scratch/bin/runc"
start_containerd
make_image "$scratch/image.tar" "$image" || exit
ctr image import "$scratch/image.tar" >/dev/null || exit

# container ID FLAG…: the beginning of a command line that runs a container.
container() {
  local path=$CONTAINERD_NAMESPACE/$1
  command=(ctr run --runc-binary "$runtime" --runc-root "$scratch/runtime")
  if [ "$driver" = systemd ]; then
    path=system.slice/$CONTAINERD_NAMESPACE-$1.scope
    command+=(--runc-systemd-cgroup --cgroup "system.slice:$CONTAINERD_NAMESPACE:$1")
  fi
  cgroup=/sys/fs/cgroup/$path
  command+=("${@:2}" "$image" "$1")
}

# execute FLAG… -- COMMAND…: the command line of a further program; each needs a name of its own.
count=0
execute() {
  count=$((count + 1))
  command=(ctr task exec --exec-id "$count")
  until [ "$1" = -- ]; do command+=("$1") && shift; done
  command+=(sleeper "${@:2}")
}

status() { ctr task ls | awk '$1 == "sleeper" { print $3 }'; }
is_stopped() { [ "$(status)" = STOPPED ]; }
processes() { ctr task ps sleeper | sed 1d | grep -c .; }
limits() {
  local own
  # With systemd crun makes one more in the scope.
  own=$(sed -n 's/^0:://p' "/proc/$(cat "$scratch/pid")/cgroup") && cd "/sys/fs/cgroup$own" &&
    cat memory.max cpu.max cpu.weight
}
# happened TOPIC…: all this happened to the container "hungry".
happened() {
  local topic
  for topic; do grep -q "/tasks/$topic .*hungry" "$scratch/events" || return; done
}

container once --rm --env A=b --cwd /var --read-only --seccomp --device /dev/fuse \
  --mount "type=bind,src=$scratch,dst=/mnt,options=rbind:ro" \
  --cap-drop CAP_CHOWN --cap-add CAP_SYS_ADMIN
run "${command[@]}" sh -c 'exec 2>&1
  echo "A=$A in $PWD"; touch /x; touch /mnt/y; stat -c "device %t:%T" /dev/fuse
  grep -E "^(CapEff|NoNewPrivs|Seccomp):" /proc/self/status; exit 7'
has 'run, exit status' 'status 7'
has 'run --env --cwd' 'A=b in /var'
has 'run --read-only' '.*/x: Read-only file system'
has 'run --mount' '.*/mnt/y: Read-only file system'
has 'run --device' 'device a:e5'
has 'run --cap-drop --cap-add' $'CapEff:\t00000000a82425fa'
has 'run, no new privileges' $'NoNewPrivs:\t1'
has 'run --seccomp' $'Seccomp:\t2'
container once --rm --privileged --net-host
run "${command[@]}" sh -c 'ls -d /dev/kmsg; cat /proc/self/net/dev | tail -n 1; mount -t tmpfs x /var && echo mounted'
has 'run --privileged, devices' '/dev/kmsg'
has 'run --privileged, capabilities' 'mounted'
has 'run --net-host' ' *lo:.*'
container once --rm --tty --uidmap 0:100000:65536 --gidmap 0:200000:65536
run in_terminal "${command[@]}" sh -c 'test -t 0 && echo terminal; cat /proc/self/*_map; stat -c "of %u" /bin'
has 'run --tty' 'terminal'
has 'run --uidmap' ' +0 +100000 +65536'
has 'run --gidmap' ' +0 +200000 +65536'
has 'run --uidmap, files' 'of 0'
container once --rm
check 'run, a program that is not there' 1 '.*absent.*(no such file|not found).*' "${command[@]}" absent

ctr events >"$scratch/events" &
events=$!
container hungry --rm --memory-limit 33554432
check 'run --memory-limit' 137 '(Killed)?' "${command[@]}" sh -c "$too_much"
check 'events, OOM too' 0 '' await happened create start oom exit delete
kill "$events"

container sleeper --detach --pid-file "$scratch/pid" --memory-limit 33554432 --cpu-quota 50000 \
  --cpu-period 200000 --cpu-shares 512
check 'run --detach' 0 '' "${command[@]}" sh -c 'trap "exit 5" TERM; sleep 1000 & wait'
check 'run --pid-file' 0 'sh' cat "/proc/$(cat "$scratch/pid")/comm"
# The newer conversion makes 59 of 512 shares.
check 'run, limits in the cgroup' 0 $'33554432\n50000 200000\n(20|59)' limits
execute --user guest --cwd /var -- sh -c 'id -u; pwd; exit 9'
check 'exec, output and exit status' 9 $'1000\n/var' "${command[@]}"
execute -- absent
check 'exec, a program that is not there' 1 '.*absent.*(no such file|not found).*' "${command[@]}"
execute --tty -- sh -c 'test -t 0 && echo terminal; sleep 2; exit 4'
check 'exec --tty' 4 'terminal' in_terminal "${command[@]}"
execute --detach -- sleep 1000
check 'exec --detach' 0 '' "${command[@]}"
check 'ps' 0 '3' processes
check 'kill --exec-id' 0 '' ctr task kill --exec-id "$count" --signal KILL sleeper
run ctr task metrics sleeper
has 'metrics, processes' 'pids.current +[23] *'
has 'metrics, memory' 'memory.usage_limit +33554432 *'
check 'pause' 0 '' ctr task pause sleeper
check 'ls, paused' 0 PAUSED status
execute -- true
check 'exec, refused while paused' 1 '.*paused.*' "${command[@]}"
check 'resume' 0 '' ctr task resume sleeper

stop "$containerd" KILL
start_containerd
check 'the daemon was killed, the container runs' 0 'RUNNING' status
execute -- echo out
check 'exec through the new daemon' 0 'out' "${command[@]}"
check 'kill' 0 '' ctr task kill --signal TERM sleeper
check 'ls, stopped' 0 '' await is_stopped
check 'delete, exit status' 0 '.*exit code 5.*' ctr task delete sleeper
check 'no cgroup is left' 1 '' test -e "$cgroup"
container orphan --detach --pid-file "$scratch/pid"
"${command[@]}" sleep 1000
kill -KILL "$(ps -o ppid= "$(cat "$scratch/pid")")"
check 'the shim was killed, the container ends' 0 '' await test ! -e "$cgroup"
exit $((failures > 0))
