#!/usr/bin/env bash
# cri.sh RUNTIME [systemd]: what containerd does with an OCI runtime for Kubernetes, through the Container
# Runtime Interface. Prints one line for each check; the exit status is 1 if one failed.
set -u
. "$(dirname "$0")/containerd-daemon.sh"
pod= to_client=2 from_client=0 client= parent=

# cri METHOD JSON: a call as of crictl; see cri.mjs.
cri() {
  local answer request=$*
  echo "${request//$'\n'/ }" >&"$to_client"
  read -r -t 600 answer <&"$from_client" && echo "$answer"
  [[ $answer == '{'* ]]
}

stop_containers() {
  cri StopPodSandbox "{\"pod_sandbox_id\": \"$pod\"}"
  cri RemovePodSandbox "{\"pod_sandbox_id\": \"$pod\"}"
  stop "$client"
  exec {to_client}>&- {from_client}<&-
  [ "$driver" = systemd ] || rmdir "/sys/fs/cgroup$parent"
}

# A network plugin that does nothing but to name an address.
mkdir -p "$scratch"/{networks,logs}
cat >"$scratch/bin/nothing" <<'SH'
#!/bin/sh
[ "$CNI_COMMAND" != VERSION ] || exec echo '{"cniVersion": "0.4.0", "supportedVersions": ["0.4.0"]}'
[ "$CNI_COMMAND" != ADD ] || echo '{"cniVersion": "0.4.0",
  "interfaces": [{"name": "'"$CNI_IFNAME"'", "sandbox": "'"$CNI_NETNS"'"}],
  "ips": [{"version": "4", "address": "10.1.2.3/8", "interface": 0}]}'
SH
chmod +x "$scratch/bin/nothing"
ln -s nothing "$scratch/bin/loopback"
echo '{"cniVersion": "0.4.0", "name": "nothing", "plugins": [{"type": "nothing"}]}' >"$scratch/networks/one.conflist"

start_containerd "
[plugins.'io.containerd.grpc.v1.cri']
sandbox_image = 'docker.io/library/pause:1'
netns_mounts_under_state_dir = true
[plugins.'io.containerd.grpc.v1.cri'.cni]
bin_dir = '$scratch/bin'
conf_dir = '$scratch/networks'
[plugins.'io.containerd.grpc.v1.cri'.containerd]
default_runtime_name = 'tested'
[plugins.'io.containerd.grpc.v1.cri'.containerd.runtimes.tested]
runtime_type = 'io.containerd.runc.v2'
[plugins.'io.containerd.grpc.v1.cri'.containerd.runtimes.tested.options]
BinaryName = '$runtime'
SystemdCgroup = $([ "$driver" = systemd ] && echo true || echo false)"
make_image "$scratch/box.tar" docker.io/library/box:1 || exit
make_image "$scratch/pause.tar" docker.io/library/pause:1 '"sleep", "100000"' || exit
for image in box pause; do
  ctr --namespace k8s.io image import "$scratch/$image.tar" >/dev/null || exit
done
mkfifo "$scratch"/{requests,answers}
node "$(dirname "$0")/cri.mjs" "$CONTAINERD_ADDRESS" <"$scratch/requests" >"$scratch/answers" &
client=$!
exec {to_client}>"$scratch/requests" {from_client}<"$scratch/answers"

parent=/${scratch##*/}
[ "$driver" = cgroupfs ] || parent=scow-${scratch##*-}.slice
pod_settings='{"metadata": {"name": "pod", "uid": "1", "namespace": "tests"}, "hostname": "inside",
  "log_directory": "'$scratch/logs'", "linux": {"cgroup_parent": "'$parent'",
  "security_context": {"namespace_options": {"pid": 1}, "seccomp": {"profile_type": 0}}}}'

# text STRING: as JSON has it.
text() {
  local string=${1//\\/\\\\}
  string=${string//\"/\\\"}
  echo "\"${string//$'\n'/\\n}\""
}

# value FIELD: what the last answer has there.
value() { sed -n "s/.*\"$1\":\"*\([^\",}]*\).*/\1/p" <<<"$out"; }

# start NAME LINUX SCRIPT: runs a container; its ID is in $container.
start() {
  run cri CreateContainer "{\"pod_sandbox_id\": \"$pod\", \"sandbox_config\": $pod_settings, \"config\": {
    \"metadata\": {\"name\": \"$1\"}, \"image\": {\"image\": \"docker.io/library/box:1\"}, \"linux\": $2,
    \"log_path\": \"$1.log\", \"command\": [\"sh\", \"-c\", $(text "$3")], \"working_dir\": \"/var\",
    \"envs\": [{\"key\": \"A\", \"value\": \"b\"}],
    \"mounts\": [{\"container_path\": \"/mnt\", \"host_path\": \"$scratch/logs\", \"readonly\": true}]}}"
  container=$(value container_id)
  check "StartContainer $1" 0 '\{\}' cri StartContainer "{\"container_id\": \"$container\"}"
}

# execute SECONDS SCRIPT: in the container; what it printed, by lines, and its exit status.
execute() {
  cri ExecSync "{\"container_id\": \"$container\", \"timeout\": $1, \"cmd\": [\"sh\", \"-c\", $(text "$2")]}" |
    sed 's/\\n/\n/g; s/\\t/ /g; s/"stdout":"/\n/; s/","exit_code":\(.*\)}/\nexit status \1/'
}

# ended STATUS: the container has, with that status.
ended() {
  [[ $(cri ContainerStatus "{\"container_id\": \"$container\"}") == *'"state":2'*"\"exit_code\":$1"* ]]
}

run cri RunPodSandbox "{\"config\": $pod_settings, \"runtime_handler\": \"tested\"}"
has 'RunPodSandbox' '\{"pod_sandbox_id":"[0-9a-f]{64}"\}'
pod=$(value pod_sandbox_id)
start hungry '{"resources": {"memory_limit_in_bytes": 33554432}}' "$too_much"
check 'a limit on memory' 0 '' await ended 137
check 'OOM is reported' 0 '.*"reason":"OOMKilled".*' cri ContainerStatus "{\"container_id\": \"$container\"}"
start one '{"resources": {"cpu_period": 100000, "cpu_quota": 50000, "cpu_shares": 1024,
    "memory_limit_in_bytes": 33554432, "oom_score_adj": 500, "cpuset_cpus": "0"},
  "security_context": {"run_as_user": {"value": 1000}, "supplemental_groups": [7], "readonly_rootfs": true,
    "no_new_privs": true, "masked_paths": ["/proc/version"], "readonly_paths": ["/proc/sys"],
    "capabilities": {"drop_capabilities": ["ALL"], "add_capabilities": ["CHOWN"]},
    "namespace_options": {"pid": 1}, "seccomp": {"profile_type": 0}}}' \
  'trap "exit 5" TERM; echo begun; sleep 1000 & wait'
run execute 60 'exec 2>&1; id; echo "A=$A in $PWD"; hostname; touch /x; touch /mnt/y; wc -c </proc/version
  echo x >/proc/sys/kernel/domainname; grep -E "^(CapBnd|NoNewPrivs|Seccomp):" /proc/self/status
  cat /proc/1/oom_score_adj; cd /sys/fs/cgroup; head memory.max cpu.max cpu.weight cpuset.cpus | tr "\n" " "
  echo; wc -l </proc/net/dev; cat /proc/1/comm; exit 9'
has 'ExecSync, exit status' 'exit status 9'
has 'envs, working_dir' 'A=b in /var'
has 'run_as_user, supplemental_groups' 'uid=1000\(guest\) gid=1000\(guest\) groups=(1000\(guest\),)?7(,1000\(guest\))?'
has 'hostname' 'inside'
has 'readonly_rootfs' '.*/x: Read-only file system'
has 'mounts' '.*/mnt/y: Read-only file system'
has 'masked_paths' '0'
has 'readonly_paths' '.*domainname: Read-only file system'
has 'capabilities' 'CapBnd: 0000000000000001'
has 'no_new_privs' 'NoNewPrivs: 1'
has 'seccomp' 'Seccomp: 2'
has 'oom_score_adj' '500'
has 'memory_limit_in_bytes' '.*memory.max <== 33554432 .*'
has 'cpu_quota' '.*cpu.max <== 50000 100000 .*'
# The newer conversion makes 100 of 1024 shares.
has 'cpu_shares' '.*cpu.weight <== (39|100) .*'
has 'cpuset_cpus' '.*cpuset.cpus <== 0 .*'
has 'the network namespace of the pod' 3
has 'a PID namespace of its own' 'sh'
check 'ExecSync, timeout' 0 '.*timeout 1s exceeded.*' execute 1 'exec sleep 543'
check 'UpdateContainerResources' 0 '\{\}' cri UpdateContainerResources "{\"container_id\": \"$container\",
  \"linux\": {\"memory_limit_in_bytes\": 50331648, \"cpu_quota\": 25000, \"cpu_period\": 100000}}"
run execute 60 'cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/cpu.max; ps'
has 'UpdateContainerResources, memory' 50331648
has 'UpdateContainerResources, CPU' '25000 100000'
check 'ContainerStats' 0 '.*"usage_core_nano_seconds":\{"value":[1-9].*"working_set_bytes":\{"value":[1-9].*' \
  cri ContainerStats "{\"container_id\": \"$container\"}"
one=$container
start two "{\"security_context\": {\"namespace_options\": {\"pid\": 3, \"target_id\": \"$one\"}}}" 'ps; sleep 1000'
check 'the PID namespace of another container' 0 '' await grep -q 'sleep 1000 & wait' "$scratch/logs/two.log"
container=$one
check 'StopContainer' 0 '\{\}' cri StopContainer "{\"container_id\": \"$container\", \"timeout\": 60}"
check 'StopContainer, exit status' 0 '' ended 5
check 'a log' 0 '.* stdout F begun' cat "$scratch/logs/one.log"
check 'StopPodSandbox' 0 '\{\}' cri StopPodSandbox "{\"pod_sandbox_id\": \"$pod\"}"
check 'RemovePodSandbox' 0 '\{\}' cri RemovePodSandbox "{\"pod_sandbox_id\": \"$pod\"}"
exit $((failures > 0))
