#!/usr/bin/env bash
# Tests the Debian package in a clean chroot, where it was never installed: installs it with one apt command, runs,
# upgrades, removes and purges it.
#
#   cross/test-deb.sh amd64|arm64|armhf
#
# package.sh makes the package and build.sh the sandbox; the script calls them if the files are missing. EDGE_SUITE
# names another release than bookworm. Needs root, mmdebstrap, a mirror of Debian and, for an ARCH other than that of
# the computer, qemu-user.
set -euo pipefail
source "$(dirname "$0")/ground.sh"

of_architecture "${1:?usage: test-deb.sh amd64|arm64|armhf}"
need_root
need_emulator
in_own_mounts "$@"
suite=${EDGE_SUITE:-bookworm}
need_package
need_sandbox

clean_tree "$suite"
cp "$package" "$tree/tmp/first.deb"
cp "$sandbox" "$tree/tmp/sandbox"
# This script keeps Debian's packages from starting services in the chroot.
printf '#!/bin/sh\nexit 101\n' >"$tree/usr/sbin/policy-rc.d"
chmod +x "$tree/usr/sbin/policy-rc.d"

in_tree() { enter "$tree" DEBIAN_FRONTEND=noninteractive HTTP_PROXY="${HTTP_PROXY-}" "$@"; }
check() {
  local what=$1
  shift
  if "$@" >"$work/test-$arch.log" 2>&1; then
    say "ok: $what"
  else
    cat "$work/test-$arch.log" >&2
    fail "$what"
  fi
}
is_gone() { ! compgen -G "$tree$1" >/dev/null; }
ours() {
  find "$tree" -xdev \( -path "$tree/proc" -o -path "$tree/sys" -o -path "$tree/dev" -o -path "$tree/tmp" \
    -o -path "$tree/var/log" -o -path "$tree/var/cache/apt" \) -prune -o -name '*livepeer*' -print
}
configuration=$tree/etc/livepeer-edge/livepeer-edge.toml

# --- install --------------------------------------------------------------------------------------------
in_tree apt-get -q -o Dpkg::Use-Pty=0 update >/dev/null
# Recommended packages are installed too, as on a device. A reinstallation must not ask questions.
check "one apt command installs the package" in_tree apt-get -q -o Dpkg::Use-Pty=0 install --yes /tmp/first.deb
check "the program runs" in_tree livepeer-edge --version
# Each library that the program is linked to is in a package on which ours depends.
libraries_are_named() {
  local library owner depends
  depends=$(in_tree dpkg-query --show --showformat='${Depends}' livepeer-edge)
  echo "$depends"
  for library in $(readelf --dynamic --wide "$tree/usr/bin/livepeer-edge" | sed -n 's/.*NEEDED.*\[\(.*\)\]/\1/p'); do
    owner=$(in_tree dpkg --search "*/$library" | sed 's/:.*//' | sort --unique | head -n 1)
    echo "$library: $owner"
    grep -qE "(^|[,|] )$owner($|[ ,])" <<<"$depends" || return 1
  done
}
check "every library that the program is linked to is in a dependency" libraries_are_named
check "every file is as packaged" in_tree dpkg --verify livepeer-edge
check "the configuration is a conffile" in_tree sh -c \
  'dpkg-query --show --showformat="\${Conffiles}" livepeer-edge | grep -q /etc/livepeer-edge/livepeer-edge.toml'
check "the copyright file exists" test -s "$tree/usr/share/doc/livepeer-edge/copyright"
for page in README.md systemd/README.md; do
  check "the page $page exists" test -s "$tree/usr/share/doc/livepeer-edge/$page"
done
check "the manual page exists" test -s "$tree/usr/share/man/man1/livepeer-edge.1.gz"
# What a shell loads is what this very program prints.
completes() {
  cmp "$tree/usr/share/$2" <(in_tree livepeer-edge completions "$1")
}
check "bash completes" completes bash bash-completion/completions/livepeer-edge
check "zsh completes" completes zsh zsh/vendor-completions/_livepeer-edge
check "fish completes" completes fish fish/vendor_completions.d/livepeer-edge.fish
check "the schema of the status exists" cmp "$project/src/status/schema.json" "$tree/usr/share/doc/livepeer-edge/status.schema.json"
check "the service is enabled" test -L "$tree/etc/systemd/system/multi-user.target.wants/livepeer-edge.service"
units_are_silent() {
  local said
  said=$(in_tree systemd-analyze verify --man=no livepeer-edge.service livepeer-edge@front.service 2>&1) || said+=failed
  echo "$said"
  [[ -z $said ]]
}
check "systemd finds no mistake in the installed units" units_are_silent
check "the units' groups exist" in_tree getent group video render audio

says_what_is_missing() {
  local said code=0
  said=$(in_tree livepeer-edge run --config /etc/livepeer-edge/livepeer-edge.toml 2>&1) || code=$?
  echo "$code: $said"
  [[ $code == 2 && $said == *"orchestrator.urls: missing"* ]]
}
check "with the package's configuration, the program names the missing keys" says_what_is_missing

# --- a configuration, and video -------------------------------------------------------------------------
orchestrator=
address=
# Starts an orchestrator on a free port. Sets `orchestrator` to its process id, and `address`.
listens() {
  in_tree /tmp/sandbox sandbox --listen 127.0.0.1:0 >"$tree/tmp/sandbox.log" 2>&1 &
  orchestrator=$!
  for ((n = 0; n < 300; n++)); do
    address=$(sed -n 's/.*orchestrator at https:\/\/\([0-9.:]*\),.*/\1/p' "$tree/tmp/sandbox.log")
    [[ -n $address ]] && return
    sleep 0.1
  done
  cat "$tree/tmp/sandbox.log"
  return 1
}
check "the sandbox listens" listens
check "setup writes the configuration" in_tree livepeer-edge setup --source test \
  --orchestrator.urls "$address" --job.model noop --output /tmp/out.ts \
  --video.width 320 --video.height 240 --video.fps 10 --video.bitrate 300000 --encoder.speed ultrafast
# Ends the program of a background `in_tree` with SIGTERM, as systemd does.
end() {
  pkill --signal TERM --parent "$1" || true
  wait "$1"
}
took=
# publishes SECONDS: sets `took` to the time in ms from the start of the agent to the first byte of returned video.
publishes() {
  local agent begin ended=0
  # Without this cache, GStreamer scans its plugins as at the first start on a device.
  rm -rf "$tree/root/.cache"
  begin=$(date +%s%N)
  in_tree livepeer-edge run --config /etc/livepeer-edge/livepeer-edge.toml --state.directory /tmp/state &
  agent=$!
  for ((n = 0; n < $1 * 10; n++)); do
    [[ -s $tree/tmp/out.ts ]] && took=$((($(date +%s%N) - begin) / 1000000)) && break
    sleep 0.1
  done
  sleep 3
  end "$agent" || ended=$?
  end "$orchestrator" || true
  cat "$tree/tmp/sandbox.log"
  ls -l "$tree/tmp/out.ts"
  [[ -n $took && $ended == 0 ]] && grep -q ' 0 violations' "$tree/tmp/sandbox.log"
}
# GStreamer scans its plugins at the first start, which takes long under qemu.
limit=10
[[ $arch == "$(dpkg --print-architecture)" ]] || limit=90
check "video is returned within $limit s of a start with a valid configuration" publishes "$limit"
say "    after $took ms"

# --- upgrade --------------------------------------------------------------------------------------------
rm -rf "$tree/tmp/next"
dpkg-deb --raw-extract "$package" "$tree/tmp/next"
sed -i 's/^Version: .*/&+next/' "$tree/tmp/next/DEBIAN/control"
dpkg-deb --build --root-owner-group -Zgzip "$tree/tmp/next" "$tree/tmp/next.deb" >/dev/null
cp "$configuration" "$tree/tmp/before.toml"
check "an upgrade asks no question" in_tree apt-get -q -o Dpkg::Use-Pty=0 install --yes /tmp/next.deb </dev/null
check "the new version is installed" in_tree sh -c 'dpkg-query --show livepeer-edge | grep -q +next'
check "the configuration is kept" cmp "$configuration" "$tree/tmp/before.toml"
check "the service is still enabled" test -L "$tree/etc/systemd/system/multi-user.target.wants/livepeer-edge.service"

# --- remove, purge --------------------------------------------------------------------------------------
mkdir -p "$tree/var/lib/private/livepeer-edge" "$tree/var/lib/private/livepeer-edge-front"
ln -s private/livepeer-edge "$tree/var/lib/livepeer-edge"
echo '# mine' >"$tree/etc/livepeer-edge/front.toml"
check "the package is removed" in_tree apt-get -q -o Dpkg::Use-Pty=0 remove --yes livepeer-edge
check "the program is gone" is_gone "/usr/bin/livepeer-edge"
check "the units are gone" is_gone "/usr/lib/systemd/system/livepeer-edge*"
check "the configuration is still there" cmp "$configuration" "$tree/tmp/before.toml"
check "the package is purged" in_tree apt-get -q -o Dpkg::Use-Pty=0 purge --yes livepeer-edge
check "the configuration is gone" is_gone "/etc/livepeer-edge/livepeer-edge.toml"
check "a file of the owner is kept" test -s "$tree/etc/livepeer-edge/front.toml"
rm -r "$tree/etc/livepeer-edge"
left=$(ours)
[[ -z $left ]] || fail "left behind: $left"
say "ok: no other files are left"
say "passed: $suite $arch, $(basename "$package")"
