#!/usr/bin/env bash
# Runs a program built for a device on this computer: in a Debian of the device's architecture with its real GStreamer,
# under qemu-user if necessary.
#
#   cross/run.sh ARCH [BINARY [ARGUMENT...]]     the program that `build.sh ARCH` made, if none is named
#   cross/run.sh ARCH --check                    --version, devices and a demo of 5 s; 0 violations
#
# EDGE_SUITE names another release than bookworm. Needs root, mmdebstrap and a mirror of Debian.
set -euo pipefail
source "$(dirname "$0")/ground.sh"

of_architecture "${1:?usage: run.sh amd64|arm64|armhf [BINARY [ARGUMENT...]]}"
need_root
need_emulator
in_own_mounts "$@"
shift
suite=${EDGE_SUITE:-bookworm}
tree=$work/run-$suite-$arch

# Packages are only unpacked, without running their scripts. That is fast, and enough to run programs.
make_tree "$tree" "$suite" --variant=extract --architectures="$arch" \
  --include=libc6,libgcc-s1,coreutils,ca-certificates,libgstreamer1.0-0,libgstreamer-plugins-base1.0-0 \
  --include=gstreamer1.0-plugins-base,gstreamer1.0-plugins-good,gstreamer1.0-plugins-bad \
  --include=gstreamer1.0-plugins-ugly,gstreamer1.0-tools >&2
# These files would have been written by the scripts.
[[ -e $tree/etc/hosts ]] || echo '127.0.0.1 localhost' >"$tree/etc/hosts"
[[ -e $tree/etc/nsswitch.conf ]] || echo 'hosts: files dns' >"$tree/etc/nsswitch.conf"

# The binary of `build.sh ARCH`, which includes the sandbox for the demo.
built=$work/livepeer-edge-$arch-sandbox
run() {
  local binary=$1
  shift
  [[ -x $binary ]] || fail "$binary does not exist; \`cross/build.sh $arch\` makes $built"
  touch "$tree/program"
  mount --bind "$(realpath "$binary")" "$tree/program"
  enter "$tree" XDG_CACHE_HOME=/root/.cache /program "$@"
}

if [[ ${1-} != --check ]]; then
  run "${1:-$built}" "${@:2}"
  exit
fi

version=$(run "$built" --version)
[[ $version == "livepeer-edge "* ]] || fail "--version says: $version"
say "$version, $suite $arch"
# At its first start GStreamer scans its plugins, which under qemu takes longer than the whole demo.
begin=$SECONDS
enter "$tree" XDG_CACHE_HOME=/root/.cache gst-inspect-1.0 x264enc >/dev/null
say "GStreamer's plugins were listed within $((SECONDS - begin)) s"
# A small picture, because qemu is slow.
small=(--video.width 320 --video.height 240 --video.fps 10 --video.bitrate 300000 --encoder.speed ultrafast)
begin=$SECONDS
devices=$(run "$built" devices "${small[@]}" 2>&1) || fail "devices: $devices"
printf '%s\n' "$devices" >&2
grep -qE '^ +x264enc +works' <<<"$devices" || fail 'devices does not say that x264enc works'
say "devices: $((SECONDS - begin)) s"
begin=$SECONDS
report=$(run "$built" demo --seconds 5 "${small[@]}" 2>&1) || fail "demo: $report"
printf '%s\n' "$report" >&2
grep -qx 'violations  0' <<<"$report" || fail 'the demo does not say that there were 0 violations'
say "demo: $((SECONDS - begin)) s"
