# For the scripts that run tests: installing what they need.

# apt-get, patiently: another one may hold the lock, a mirror may be slow to answer.
apt() {
  local attempt
  for attempt in 1 2 3 4 5; do
    DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300 "$@" && return
    echo "test: apt-get $1 failed, attempt $attempt of 5" >&2
    sleep 5
  done
  return 1
}

# Installs those of the named packages that are missing, and says so. Their services are not started:
# tests start what they need themselves.
install_packages() {
  local missing=() package
  for package in "$@"; do
    dpkg-query -W -f='${db:Status-Abbrev}' "$package" 2>/dev/null | grep -q '^ii' ||
      missing+=("$package")
  done
  [ ${#missing[@]} -eq 0 ] && return
  echo "test: installing what the tests need: apt-get install ${missing[*]}"
  local policy=/usr/sbin/policy-rc.d status
  if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
  else
    policy=
  fi
  apt update && apt install --yes --no-install-recommends "${missing[@]}"
  status=$?
  [ -z "$policy" ] || rm "$policy"
  return "$status"
}
