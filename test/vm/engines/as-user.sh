#!/usr/bin/env bash
# as-user.sh COMMAND…: runs a command, in this folder, as an ordinary user with IDs for containers, whom it
# makes; where systemd runs, as a service of that user's own manager. For throw-away machines: the user stays.
set -eu
user=scow-engines
uid=52346
here=/run/scow-engines
# Several may begin at once.
exec 9>/run/scow-engines.lock
flock 9
if ! id "$user" >/dev/null 2>&1; then
  # More than this is not needed of useradd(8): who has no password needs no shadow(5).
  echo "$user:*:$uid:$uid::/home/$user:/bin/bash" >>/etc/passwd
  echo "$user:*:$uid:" >>/etc/group
  echo "$user:1000000:65536" | tee -a /etc/subuid >>/etc/subgid
  install -d -o "$user" -g "$user" "/home/$user"
fi
# The folder may be in one that is closed to others.
if ! mountpoint -q "$here"; then
  mkdir -p "$here"
  mount --rbind "$PWD" "$here"
fi
# For networks through slirp4netns.
modprobe tun 2>/dev/null || :
exec 9>&-
cd "$here"
become=(
  setpriv --reuid "$user" --regid "$user" --init-groups
  env "HOME=/home/$user" "USER=$user" "XDG_RUNTIME_DIR=/run/user/$uid"
)
if [ ! -d /run/systemd/system ]; then
  install -d -m 700 -o "$user" "/run/user/$uid"
  exec "${become[@]}" "$@"
fi
systemctl start "user@$uid.service"
exec "${become[@]}" systemd-run --user --quiet --pipe --wait --collect --same-dir \
  --property=Delegate=yes --setenv="PATH=$PATH" "$@"
