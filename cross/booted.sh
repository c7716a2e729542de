#!/usr/bin/env bash
# Tests the package under a real systemd, at the full speed of this computer: boots a container without network and
# camera, and installs the package in it as a device owner would. Tests that need another kernel, for example for
# cameras, are in device.sh.
#
#   cross/booted.sh
#
# package.sh makes the package and build.sh the sandbox, both for the architecture of this computer; the script calls
# them if the files are missing. EDGE_SUITE names another release than bookworm. Takes 4 minutes. Needs root,
# mmdebstrap, a mirror of Debian and systemd-nspawn.
set -euo pipefail
source "$(dirname "$0")/ground.sh"

of_architecture "$(dpkg --print-architecture)"
need_root
need systemd-nspawn systemd-container
need script bsdutils
in_own_mounts "$@"
suite=${EDGE_SUITE:-bookworm}
need_package
need_sandbox

# --- the file system of the container -------------------------------------------------------------------
clean_tree "$suite"
cp "$package" "$tree/root/edge.deb"
install -m 755 "$sandbox" "$tree/usr/local/bin/edge-sandbox"
in_tree() { enter "$tree" DEBIAN_FRONTEND=noninteractive HTTP_PROXY="${HTTP_PROXY-}" "$@"; }
# The container has no network, so the packages that ours depends on are installed first.
in_tree apt-get -q -o Dpkg::Use-Pty=0 update >/dev/null
in_tree apt-get -q -o Dpkg::Use-Pty=0 install --yes --download-only /root/edge.deb >/dev/null
for mounted in proc sys dev; do umount --recursive "$tree/$mounted"; done

install -m 644 "$project/cross/inside.sh" "$tree/usr/local/lib/inside.sh"
declare -f without_anything >"$tree/usr/local/lib/without-anything.sh"
install -m 755 "$project/cross/booted-test.sh" "$tree/usr/local/bin/booted-test"
cat >"$tree/etc/systemd/system/booted-test.service" <<'UNIT'
[Unit]
After=multi-user.target
[Service]
Type=oneshot
ExecStart=/usr/local/bin/booted-test
ExecStopPost=systemctl --no-block poweroff
StandardOutput=file:/root/booted-test.log
StandardError=inherit
TimeoutStartSec=infinity
UNIT
mkdir -p "$tree/etc/systemd/system/graphical.target.wants"
ln -s ../booted-test.service "$tree/etc/systemd/system/graphical.target.wants/booted-test.service"
ln -sf /lib/systemd/system/graphical.target "$tree/etc/systemd/system/default.target"
# fstab must be empty: otherwise the container would mount the file systems in it.
: >"$tree/etc/fstab"
echo 0123456789abcdef0123456789abcdef >"$tree/etc/machine-id"

# --- boot -----------------------------------------------------------------------------------------------
if [[ ! -d /run/systemd/system ]]; then
  # This computer was booted without systemd, so this script mounts /run and
  # the cgroups, as systemd would have done.
  mount -t tmpfs tmpfs /run
  umount --recursive /sys/fs/cgroup 2>/dev/null || umount --recursive --lazy /sys/fs/cgroup
  mount -t cgroup2 cgroup2 /sys/fs/cgroup
  mkdir -p /sys/fs/cgroup/livepeer-edge-test
  echo $$ >/sys/fs/cgroup/livepeer-edge-test/cgroup.procs
fi
log=$work/booted-$suite.log
# The container's console must be a terminal.
timeout --kill-after=10 900 script --quiet --return --command "systemd-nspawn --quiet --directory='$tree' --boot --private-network \
  --register=no --keep-unit --machine=edge" /dev/null </dev/null >"$log" 2>&1 || say "the container ended with $?"
cat "$tree/root/booted-test.log" "$tree/root/install.log" >>"$log" || true
grep -qx BOOTED-TEST-END "$log" || {
  tail -n 30 "$log" >&2
  fail "the test did not finish; see $log"
}
sed -n 's/^RESULT /  /p' "$log" >&2
if grep -q '^RESULT FAILED' "$log"; then fail "see the lines above, and $log"; fi
say "passed: $suite $arch, $(basename "$package")"
