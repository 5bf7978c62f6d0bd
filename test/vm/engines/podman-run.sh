#!/usr/bin/env bash
# podman-run.sh RUNTIME [systemd]: the processes and files of single containers under podman, of root or of
# an ordinary user. Prints one line for each check; the exit status is 1 if one failed.
set -u
. "$(dirname "$0")/containers.sh"

echo from-outside >word
mkdir shared hooks
echo shared >shared/file
printf '#!/bin/sh\nread -r state; echo "$1 ${state%%%%,*}" >>%s/hooked\n' "$scratch" >hooks/hook
chmod +x hooks/hook
cat >hooks/one.json <<JSON
{"version": "1.0.0", "when": {"always": true}, "stages": ["createRuntime", "poststop"],
 "hook": {"path": "$scratch/hooks/hook", "args": ["hook", "called"]}}
JSON
cat >seccomp.json <<'JSON'
{"defaultAction": "SCMP_ACT_ALLOW",
 "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 11}]}
JSON

run podman run --rm --env ONE=1 --workdir /home --user guest:5 --group-add 7 --umask 027 --hostname inside \
  --cap-drop all --cap-add chown --security-opt no-new-privileges --ulimit nofile=100:200 \
  --sysctl net.ipv4.ip_unprivileged_port_start=80 --security-opt seccomp=seccomp.json \
  --oom-score-adj 500 --annotation a=b --add-host other:10.0.0.1 "$box" sh -c '
    echo "env $ONE"; echo "cwd $PWD"; id; echo "umask $(umask)"; hostname; ulimit -Sn; ulimit -Hn
    grep -E "CapBnd|CapEff|NoNewPrivs|Seccomp:" /proc/self/status | tr "\t" " "; cat /proc/self/oom_score_adj
    cat /proc/sys/net/ipv4/ip_unprivileged_port_start; mkdir /tmp/no; grep other /etc/hosts'
has 'env' 'env 1'
has 'workdir' 'cwd /home'
has 'user and groups' 'uid=1000\(guest\) gid=5\(5\) groups=5\(5\),7'
has 'umask' 'umask 0027'
has 'hostname' 'inside'
has 'ulimit, soft' '100'
has 'ulimit, hard' '200'
has 'cap-drop, cap-add' 'CapBnd: 0000000000000001'
has 'an added capability is effective for an ordinary user' 'CapEff: 0000000000000001'
has 'no-new-privileges' 'NoNewPrivs: 1'
has 'a seccomp filter is loaded' 'Seccomp: 2'
has 'a seccomp filter gives its own errno' 'mkdir: .*Resource temporarily unavailable'
has 'oom-score-adj' '500'
has 'sysctl' '80'
has 'add-host' '10.0.0.1.*other.*'

run podman run --rm --volume "$scratch/shared:/ro:ro" --volume "$scratch/shared:/rw:Z" --volume named:/home:nocopy \
  --mount type=tmpfs,destination=/small,tmpfs-size=64k,tmpfs-mode=1770 --read-only --shm-size 128k \
  --device /dev/null:/dev/nothing:rw --volume "$scratch/word:/etc/word:ro" --volume /:/host:ro,rslave \
  --tmpfs /sealed:ro --volume "$scratch/word:/sealed/word" --init \
  "$box" sh -c '
    cat /ro/file; cat /etc/word; touch /sealed/a; echo "sealed $(cat /sealed/word)"; touch /ro/a; echo rw >/rw/b && cat /rw/b; touch /home/c && echo volume; touch /d
    stat -c "small %a" /small; df -k /small /dev/shm | grep -E "small|shm" | tr -s " "
    echo >/dev/nothing && stat -c "device %t:%T" /dev/nothing; touch /tmp/e && echo tmp
    stat -c "host %i" /host/usr; echo "first: $(cat /proc/1/comm)"; echo "kcore: $(head -c 1 /proc/kcore | wc -c)"'
has 'a bind volume' 'shared'
has 'a bind of one file' 'from-outside'
has 'a bind volume, read-only' 'touch: /ro/a: Read-only file system'
has 'a bind volume with :Z' 'rw'
has 'a named volume' 'volume'
has 'all of the host as a volume' "host $(stat -c %i /usr)"
has '--read-only' 'touch: /d: Read-only file system'
has '--read-only leaves /tmp writable' 'tmp'
has 'a mount point in a read-only tmpfs' 'sealed from-outside'
has 'a read-only tmpfs' 'touch: /sealed/a: Read-only file system'
has 'a tmpfs has its mode' 'small 1770'
has 'a tmpfs has its size' 'tmpfs 64 .*/small'
has '--shm-size' 'shm 128 .*/shm'
has '--device' 'device 1:3'
has 'masked paths' 'kcore: 0'
has '--init' 'first: (catatonit|podman-init)'

check 'exit status of the program, and a volume that stays' 7 'out' \
  podman run --rm --volume named:/v "$box" sh -c 'test -e /v/c && echo out; exit 7'
check 'a program that is not there' 127 '.*(no such file|not found).*' podman run --rm "$box" nothing
check 'a program that may not be executed' 126 '.*permission denied.*' podman run --rm "$box" /etc/passwd
check 'a program that is a directory' 126 '.*(permission denied|is a directory).*' podman run --rm "$box" /etc
check 'stdin, and a descriptor' 0 'from-outside.from-outside' \
  sh -c "podman run --rm -i --preserve-fds 1 $box sh -c 'cat; cat <&3' <word 3<word"
check 'a terminal' 0 '/dev/pts/0.*crw--w---- .*/dev/console.*20 50.*' in_terminal \
  podman run --rm -it "$box" sh -c "tty; ls -l /dev/console; $settled; stty size"
check 'privileged' 0 '0+1[ef]+.Seccomp:.0' podman run --rm --privileged "$box" \
  sh -c "grep CapEff /proc/self/status | cut -f2; grep Seccomp: /proc/self/status"
check 'no seccomp and no AppArmor profile' 0 'Seccomp:.0.unconfined' podman run --rm \
  --security-opt seccomp=unconfined --security-opt apparmor=unconfined "$box" \
  sh -c 'grep Seccomp: /proc/self/status; cat /proc/self/attr/current 2>/dev/null || echo unconfined'
check 'hooks' 0 'called.*called.*' sh -c "podman --hooks-dir $scratch/hooks run --rm $box true; cat hooked"
check 'a user namespace' 0 ' +0 +[0-9]+ +1000.0 0 [0-9]+' podman run --rm --uidmap 0:2000:1000 --gidmap 0:2000:1000 \
  "$box" sh -c 'cat /proc/self/uid_map; stat -c %u / /dev/null | xargs echo $(id -u)'
exit "$((failures > 0))"
