#!/usr/bin/env bash
# podman-limits.sh RUNTIME [systemd]: cgroups under podman: limits, statistics, pause, OOM. An ordinary user
# needs systemd, and has the controllers that are delegated to users. Prints one line for each check; the exit
# status is 1 if one failed.
set -u
. "$(dirname "$0")/containers.sh"

mount=/sys/fs/cgroup
group_of() {
  local pid
  pid=$(podman inspect --format '{{.State.Pid}}' "$1") && sed -n 's/^0:://p' "/proc/$pid/cgroup"
}

# What is not delegated to ordinary users.
root_only=()
[ "$(id -u)" != 0 ] || root_only=(--cpuset-cpus 0 --cpuset-mems 0 --blkio-weight 500)

podman run --detach --name limited --memory 64m --memory-swap 96m --memory-reservation 32m --cpus 0.5 \
  --cpu-shares 512 --pids-limit 30 --cgroup-conf memory.high=60000000 "${root_only[@]}" "$box" sleep 100000 >/dev/null
group=$(group_of limited)
run podman exec limited sh -c 'cd /sys/fs/cgroup; cat /proc/self/cgroup; touch writable
  for file in memory.max memory.swap.max memory.low memory.high cpu.max cpu.weight pids.max cpuset.cpus \
    cpuset.mems io.weight; do echo "$file $(cat $file)"; done 2>/dev/null'
has 'a cgroup namespace, which exec is in too' '0::/'
has 'the cgroups are read-only' 'touch: writable: Read-only file system'
has '--memory' 'memory.max 67108864'
has '--memory-swap' 'memory.swap.max 33554432'
has '--memory-reservation' 'memory.low 33554432'
has '--cgroup-conf' 'memory.high 59998208'
has '--cpus' 'cpu.max 50000 100000'
# By the conversion that Debian's peers have, and by that of newer ones.
has '--cpu-shares' 'cpu.weight (20|59)'
has '--pids-limit' 'pids.max 30'
if [ "$(id -u)" = 0 ]; then
  has '--cpuset-cpus' 'cpuset.cpus 0'
  has '--cpuset-mems' 'cpuset.mems 0'
  has '--blkio-weight' 'io.weight default 4950'
fi
case $manager in
systemd) place='.*\.slice/libpod-[0-9a-f]{64}\.scope(/container)?' ;;
*) place='/libpod_parent/libpod-[0-9a-f]{64}' ;;
esac
check 'the cgroup is where podman puts it' 0 "$place" echo "$group"
check 'stats' 0 '.* / 67.11MB 1' \
  podman stats --no-stream --format '{{.MemUsage}} {{.PIDs}}' limited
check 'update' 0 '25000 100000.50331648' \
  sh -c "podman update --cpus 0.25 --memory 48m limited >/dev/null; cat $mount$group/cpu.max $mount$group/memory.max"
check 'pids-limit holds' 2 '.*(can.t fork|Resource temporarily unavailable).*' \
  podman exec limited sh -c 'for i in $(seq 40); do sleep 1 & done'

# runc warns that it may fail of an ordinary user.
check 'pause' 0 '(.*level=warning.*)?paused.frozen 1' sh -c \
  "podman pause limited >/dev/null; podman inspect --format '{{.State.Status}}' limited; grep frozen $mount$group/cgroup.events"
check 'no exec while paused' 255 '.*paused.*|.*not running.*|.*state improper.*' podman exec limited true
check 'unpause' 0 '(.*level=warning.*)?running.frozen 0' sh -c \
  "podman unpause limited >/dev/null; podman inspect --format '{{.State.Status}}' limited; grep frozen $mount$group/cgroup.events"
check 'a paused container is removed, with its cgroup' 0 '.*gone' sh -c \
  "podman pause limited && podman rm --force --time 0 limited; [ -e $mount$group ] || echo gone"

# Of an OOM podman hears nothing: conmon 2.1.6 does not see it, whatever the runtime.
check 'more than --memory is killed' 137 '' \
  podman run --rm --memory 16m --memory-swap 16m "$box" dd if=/dev/zero of=/dev/null bs=64M count=1
check '--cgroups disabled' 0 'none' \
  podman run --rm --cgroups disabled --cgroupns host "$box" sh -c 'grep libpod /proc/self/cgroup || echo none'
exit "$((failures > 0))"
