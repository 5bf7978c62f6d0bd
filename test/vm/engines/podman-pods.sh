#!/usr/bin/env bash
# podman-pods.sh RUNTIME [systemd]: namespaces under podman: pods, those of other containers and of the host, users,
# networks. Prints one line for each check; the exit status is 1 if one failed.
set -u
. "$(dirname "$0")/containers.sh"

# namespaces CONTAINER: the kinds and numbers of its namespaces, a line each.
namespaces() {
  podman exec "$1" sh -c 'cd /proc/self/ns; for kind in ipc mnt net pid uts; do readlink $kind; done'
}
# shared CONTAINER CONTAINER: the kinds of namespaces that both are in.
shared() {
  comm -12 <(namespaces "$1" | sort) <(namespaces "$2" | sort) | sed 's/:.*//' | tr '\n' ' '
}

# sh -c "$fetch" ADDRESS PORT: what a server says, which may not be there yet.
fetch='for _ in $(seq 50); do nc -w 5 "$0" "$1" </dev/null && break; sleep 0.2; done'

# As root and without systemd podman 4.3 makes cgroups of pods in which no device may be opened.
if [ "$(id -u)" != 0 ] || [ "$manager" = systemd ]; then
  podman pod create --name pod --infra-image "$box" --infra-command 'sleep 10000' --share net,ipc,uts,pid \
    --hostname in-pod --network none >/dev/null
  podman run --detach --pod pod --name one "$box" sh -c 'while :; do echo hello | nc -l -p 8000; done' >/dev/null
  check 'a container of a pod reaches another' 0 'hello.in-pod' \
    podman run --pod pod --name two "$box" sh -c "$fetch; hostname" 127.0.0.1 8000
  check 'processes of a pod' 0 '.*sleep 10000.*nc -l -p 8000.*ps -o args.*' podman exec one ps -o args
  # What was killed is «stopped» until podman has cleaned up behind it, and gone when it is killed once more.
  check 'stop and start of a pod' 0 '.*(exited|stopped).*running' sh -c "podman pod stop --time 0 pod; podman inspect --format \
    '{{.State.Status}}' one; podman pod start pod; podman inspect --format '{{.State.Status}}' one"
  # runc warns where the cgroup is gone already.
  check 'removal of a pod' 0 '(.*level=warning.*)?' \
    sh -c "podman pod rm --force --time 0 pod >/dev/null; podman ps --all --quiet --filter name=one"
fi

podman run --detach --name first --hostname of-first "$box" sleep 10000 >/dev/null
podman run --detach --name second --pid container:first --ipc container:first --uts container:first \
  --network container:first "$box" sleep 10000 >/dev/null
check 'the namespaces of another container' 0 'ipc net pid uts ' shared first second
podman rm --force --time 0 second >/dev/null

kinds='cgroup ipc net pid uts'
own=$(cd /proc/self/ns && for kind in $kinds; do readlink "$kind"; done)
run podman run --rm --pid host --ipc host --uts host --network host --cgroupns host "$box" \
  sh -c "cd /proc/self/ns; for kind in $kinds; do readlink \$kind; done"
for line in $own; do has "the host's namespace ${line%%:*}" "${line//[\[\]]/.}"; done
# In the PID namespace of the host there is no first process whose end is everybody's: it takes a cgroup.
if [ "$(id -u)" = 0 ] || [ "$manager" = systemd ]; then
  podman run --detach --name crowd --pid host "$box" sh -c 'sleep 12345 & exec sleep 12346' >/dev/null
  crowd=$(podman inspect --format '{{.State.Pid}}' crowd)
  group=/sys/fs/cgroup$(sed -n 's/^0:://p' "/proc/$crowd/cgroup")
  both() {
    [ "$(wc -l <"$group/cgroup.procs")" = 2 ]
  }
  await both
  # runc warns here too.
  check "all processes are killed in the host's PID namespace" 0 '(.*level=warning.*)?crowd.gone' \
    sh -c "podman rm --force --time 0 crowd; [ -e $group ] || echo gone"
fi

if [ "$(id -u)" = 0 ]; then
  # --userns=auto takes the IDs of a user called containers; in this mount namespace there is one.
  printf 'containers:2000000:1000000\n' >subids
  mount --bind subids /etc/subuid
  mount --bind subids /etc/subgid
  check 'userns=auto' 0 ' +0 +[0-9]+ +1024.0 0' \
    podman run --rm --userns auto:size=1024 "$box" sh -c 'cat /proc/self/uid_map; stat -c "%u %g" /bin'
else
  check 'userns=keep-id' 0 "$(id -u) $(id -u) .*" \
    podman run --rm --userns keep-id --volume "$scratch:/mine" "$box" sh -c 'echo "$(id -u) $(stat -c %u /mine) $(cat /proc/self/uid_map)"'
  check 'userns=nomap' 0 'root 65534' \
    podman run --rm --userns nomap --volume "$scratch:/mine" "$box" sh -c 'echo "$(id -un) $(stat -c %u /mine)"'
fi

if [ "$(id -u)" = 0 ]; then
  check 'a container on a bridge' 0 'bridge0.*[0-9a-f]{64}' sh -c "podman network create --disable-dns --subnet 10.99.0.0/24 bridge0
    podman run --detach --name server --network bridge0 --ip 10.99.0.7 --publish 8080:80 $box \
      sh -c 'while :; do echo served | nc -l -p 80; done'"
  check 'from container to container on a bridge' 0 'served' \
    podman run --rm --network bridge0 "$box" sh -c "$fetch" 10.99.0.7 80
  check 'a published port' 0 'served' busybox sh -c "$fetch" 127.0.0.1 8080
else
  check 'network through slirp4netns' 0 'tap0.*10.0.2.100.*' \
    podman run --rm --network slirp4netns "$box" sh -c 'ip -o -4 address show tap0 | cut -d" " -f2-'
fi
exit "$((failures > 0))"
