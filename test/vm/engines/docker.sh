#!/usr/bin/env bash
# docker.sh RUNTIME [systemd]: what Docker does with an OCI runtime, in mount and network namespaces of its
# own. With "systemd" the cgroups are scopes that systemd makes.
# Prints one line for each check; the exit status is 1 if one failed.
set -u
. "$(dirname "$0")/containerd-daemon.sh"
parent=/${scratch##*/}
[ "$driver" = cgroupfs ] || parent=scow_${scratch##*-}.slice
export DOCKER_HOST=unix://$scratch/docker.sock DOCKER_CONFIG=$scratch/client DOCKER_BUILDKIT=0

# start_dockerd FLAG…
start_dockerd() {
  rm -f "$scratch/docker.sock"
  dockerd --host "$DOCKER_HOST" --data-root "$scratch/docker" --exec-root "$scratch/docker-state" \
    --pidfile "$scratch/docker.pid" --containerd "$CONTAINERD_ADDRESS" \
    --add-runtime "tested=$runtime" --default-runtime tested --init-path /usr/bin/docker-init \
    --exec-opt "native.cgroupdriver=$driver" --cgroup-parent "$parent" --storage-driver overlay2 \
    "$@" >>"$scratch/dockerd.log" 2>&1 &
  dockerd=$!
  await test -S "$scratch/docker.sock"
}

stop_containers() {
  local all
  all=$(docker ps -aq) && [ -n "$all" ] && docker rm --force $all
  stop "$dockerd"
  rmdir "/sys/fs/cgroup$parent"
}

start_containerd
start_dockerd --live-restore
make_image "$scratch/image.tar" box:1 || exit
docker load --quiet --input "$scratch/image.tar" >/dev/null || exit

inspect() { docker inspect --format "$1" "$2"; }
is() { [ "$(inspect "$1" "$2")" = "$3" ]; }
logged() { docker logs server | tr '\n' ' ' | grep -qx 'begun got USR1 '; }
typed() { echo typed | docker exec --interactive server cat; }

echo outside >"$scratch/word"
cat >"$scratch/seccomp.json" <<'JSON'
{"defaultAction": "SCMP_ACT_ALLOW",
 "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 11}]}
JSON
run in_terminal docker run --rm --tty --env A=b --workdir /var --user guest:5 --group-add 7 \
  --hostname inside --network none --cap-drop ALL --cap-add CHOWN --ulimit nofile=100:200 \
  --security-opt no-new-privileges --security-opt "seccomp=$scratch/seccomp.json" --read-only \
  --sysctl net.ipv4.ip_unprivileged_port_start=80 --oom-score-adj 500 --shm-size 128k \
  --tmpfs /small:size=64k,mode=1770 --volume "$scratch/word:/etc/word:ro" --volume named:/home \
  --device /dev/null:/dev/nothing --memory 32m --memory-reservation 16m \
  --cpus 0.5 --cpu-shares 1024 --cpuset-cpus 0 --pids-limit 20 --init box:1 sh -c '
    tty; ls -l /dev/console; echo "A=$A in $PWD"; id; hostname; ulimit -n; ulimit -Hn
    grep -E "^(CapBnd|NoNewPrivs|Seccomp):" /proc/self/status; mkdir /tmp/d; touch /x; cat /proc/1/comm
    cat /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/self/oom_score_adj /etc/word
    stat -c "%n %a" /small; df -k /small /dev/shm | tr -s " "; stat -c "%n %t:%T" /dev/nothing
    wc -l </proc/net/dev; stty size; cd /sys/fs/cgroup; head memory.max memory.low cpu.max \
    cpu.weight cpuset.cpus pids.max | tr "\n" " "; echo; exit 7'
has 'run, exit status' 'status 7'
has 'run --tty' '/dev/pts/0'
has 'run --tty, its size' '20 50'
has 'run --tty, the console' 'crw--w---- .*136, +0 .*/dev/console'
has 'run --env --workdir' 'A=b in /var'
has 'run --user --group-add' 'uid=1000\(guest\) gid=5 groups=5,7'
has 'run --hostname' 'inside'
has 'run --ulimit, soft' '100'
has 'run --ulimit, hard' '200'
has 'run --cap-drop --cap-add' $'CapBnd:\t0000000000000001'
has 'run --security-opt no-new-privileges' $'NoNewPrivs:\t1'
has 'run --security-opt seccomp' 'mkdir: .*Resource temporarily unavailable'
has 'run --read-only' '.*/x: Read-only file system'
has 'run --init' 'docker-init'
has 'run --sysctl' '80'
has 'run --oom-score-adj' '500'
has 'run --volume, a file' 'outside'
has 'run --tmpfs, mode' '/small 1770'
has 'run --tmpfs, size' 'tmpfs 64 .*/small'
has 'run --shm-size' 'shm 128 .*/dev/shm'
has 'run --device' '/dev/nothing 1:3'
has 'run --network none' '3'
has 'run --memory' '.*memory.max <== 33554432 .*'
has 'run --memory-reservation' '.*memory.low <== 16777216 .*'
has 'run --cpus' '.*cpu.max <== 50000 100000 .*'
# The newer conversion makes 100 of 1024 shares.
has 'run --cpu-shares' '.*cpu.weight <== (39|100) .*'
has 'run --cpuset-cpus' '.*cpuset.cpus <== 0 .*'
has 'run --pids-limit' '.*pids.max <== 20 .*'
left=$((100000 + $$))
run docker run --rm --privileged --network host --pid host --ipc host --uts host --cgroupns host box:1 sh -c '
  grep CapEff /proc/self/status; ls /dev/kmsg; mount -t tmpfs x /var && echo mounted
  echo "first $(cat /proc/1/comm)"; ip -o link show docker0 | cut -d: -f2; sleep "$1" &' - "$left"
has 'run --privileged, capabilities' $'CapEff:\t0000(003f|01ff)f[ef]f{6}'
has 'run --privileged, devices' '/dev/kmsg'
has 'run --privileged, mounts' 'mounted'
has 'run --pid host' "first $(cat /proc/1/comm)"
has 'run --network host' ' docker0'
check 'run --pid host, what it leaves is killed' 1 '' pgrep -xf "sleep $left"
check 'run, a program that is not there' 127 '.*absent.*(no such file|not found).*' \
  docker run --rm --network none box:1 absent
# Without a limit on swap Docker warns where the kernel has none.
check 'run --memory, more than that' 137 '(WARNING.*)?(Killed)?' docker run --name hungry --network none \
  --memory 32m box:1 sh -c "$too_much"
check 'OOM is reported' 0 'true' inspect '{{.State.OOMKilled}}' hungry
check 'run --restart on-failure' 0 '[0-9a-f]{64}' \
  docker run --detach --name again --network none --restart on-failure:1 box:1 false

check 'run --detach --publish' 0 '(WARNING.*)?[0-9a-f]{64}' docker run --detach --name server \
  --publish 127.0.0.1:8080:80 --ipc shareable --memory 64m \
  --health-cmd 'test -e /healthy' --health-interval 5s --health-retries 1 box:1 sh -c '
    trap "echo got USR1" USR1; trap "exit 5" TERM; echo begun; echo served >/index.html; httpd -p 80
    while :; do sleep 1; done'
check 'a published port' 0 'served' wget -qO- http://127.0.0.1:8080/
run docker exec --user guest --workdir /var --env B=c server sh -c 'id -u; echo "B=$B in $PWD"; exit 9'
has 'exec, exit status' 'status 9'
has 'exec --user' '1000'
has 'exec --env --workdir' 'B=c in /var'
check 'exec --interactive' 0 'typed' typed
check 'exec --tty' 4 '/dev/pts/.*' in_terminal docker exec --interactive --tty server sh -c 'tty; exit 4'
check 'exec --detach' 0 '' docker exec --detach server touch /healthy
run docker top server -o pid,comm
has 'top' '[0-9]+ +httpd'
check 'stats' 0 '[1-9][0-9.]*[KM]iB / 64MiB [2-9]' \
  docker stats --no-stream --format '{{.MemUsage}} {{.PIDs}}' server
check 'healthcheck' 0 '' await is '{{.State.Health.Status}}' server healthy
check 'restart on failure, once' 0 '1 exited' inspect '{{.RestartCount}} {{.State.Status}}' again
check 'pause' 0 server docker pause server
check 'exec, refused while paused' 1 '.*paused.*' docker exec server true
check 'unpause' 0 server docker unpause server
check 'update' 0 'server(.Your kernel does not support swap.*)?' docker update --memory 48m --cpus 0.25 --pids-limit 30 server
check 'update, read back' 0 $'50331648\n25000 100000\n30' \
  docker exec server sh -c 'cd /sys/fs/cgroup; cat memory.max cpu.max pids.max'
check 'namespaces of another container' 0 '.*httpd.*served.*' docker run --rm --pid container:server \
  --ipc container:server --network container:server box:1 sh -c 'ps; wget -qO- http://127.0.0.1/'
check 'cp' 0 '' docker cp "$scratch/word" server:/copied
check 'diff' 0 '.*A /copied.*' docker diff server
check 'kill --signal' 0 server docker kill --signal USR1 server
check 'logs' 0 '' await logged

stop "$dockerd" KILL
start_dockerd --live-restore
check 'the daemon was killed, exec' 0 'out' docker exec server echo out
check 'stop' 0 server docker stop server
check 'stop, exit status' 0 '5 false' inspect '{{.State.ExitCode}} {{.State.OOMKilled}}' server
check 'restart' 0 server docker restart server
check 'commit' 0 'sha256:[0-9a-f]{64}' docker commit server changed
check 'rm --force' 0 server docker rm --force server
mkdir "$scratch/context"
printf 'FROM changed\nUSER guest\nWORKDIR /home\nRUN id -u >/tmp/who && pwd >>/tmp/who\n' >"$scratch/context/Dockerfile"
run docker build --quiet --network none --tag built "$scratch/context"
has 'build' 'sha256:[0-9a-f]{64}'
check 'run of what was built' 0 $'outside\n1000\n/home' \
  docker run --rm --network none built cat /copied /tmp/who

stop "$dockerd"
echo daemon:100000:65536 >"$scratch/ids"
for file in /etc/subuid /etc/subgid; do
  [ -e "$file" ] || touch "$file"
  mount --bind "$scratch/ids" "$file"
done
start_dockerd --userns-remap daemon
docker load --quiet --input "$scratch/image.tar" >/dev/null
check 'dockerd --userns-remap' 0 ' +0 +100000 +65536.*of 0' docker run --rm --network none box:1 \
  sh -c 'cat /proc/self/uid_map; stat -c "of %u" /bin'
exit $((failures > 0))
