#!/usr/bin/env bash
# Emulates a whole device: Debian with its own kernel and systemd, two virtual cameras of the kernel (vivid), and the
# package, installed as a device owner would. Boots the device twice, with a power cut in between.
#
#   cross/device.sh amd64|arm64
#
# package.sh makes the package and build.sh the sandbox; the script calls them if the files are missing. QUIET=SECONDS
# sets for how long writes to the disk are counted (default 300). Takes 15 to 40 minutes, because qemu runs without
# acceleration. Needs root, mmdebstrap, a mirror of Debian, qemu-system and, for arm64 on a computer of another
# architecture, qemu-user.
set -euo pipefail
source "$(dirname "$0")/ground.sh"

of_architecture "${1:?usage: device.sh amd64|arm64}"
need_root
need_emulator
need mke2fs e2fsprogs
need cpio cpio
case $arch in
  arm64)
    need qemu-system-aarch64 qemu-system-arm
    kernel=linux-image-arm64 console=ttyAMA0
    machine=(qemu-system-aarch64 -machine virt -cpu cortex-a72)
    ;;
  amd64)
    need qemu-system-x86_64 qemu-system-x86
    kernel=linux-image-amd64 console=ttyS0
    machine=(qemu-system-x86_64 -machine q35 -cpu max)
    ;;
  *) fail "no kernel with virtual cameras is known for $arch" ;;
esac
in_own_mounts "$@"
quiet=${QUIET:-300}
need_package
need_sandbox

# --- Debian ---------------------------------------------------------------------------------------------
base=$work/device-$arch
# This script makes the initramfs itself (below), because mkinitramfs takes half an hour under qemu-user.
INITRD=No make_tree "$base" bookworm --variant=apt --architectures="$arch" \
  --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
  --include="$kernel",systemd,systemd-sysv,udev,dbus,kmod,procps,iproute2,busybox-static,ca-certificates,v4l-utils \
  --include=gstreamer1.0-plugins-base,gstreamer1.0-plugins-good,gstreamer1.0-plugins-bad,gstreamer1.0-plugins-ugly
tree=$work/device-$arch-installed
layers=$work/device-$arch-layers
rm -rf "$tree" "$layers"
mkdir -p "$tree" "$layers/upper" "$layers/work"
mount -t overlay overlay -o "lowerdir=$base,upperdir=$layers/upper,workdir=$layers/work" "$tree"

# --- the package, and the configuration of a device owner -----------------------------------------------
cp "$package" "$tree/root/edge.deb"
cp /etc/resolv.conf "$tree/etc/resolv.conf"
in_tree() { enter "$tree" DEBIAN_FRONTEND=noninteractive "$@"; }
in_tree apt-get -q -o Dpkg::Use-Pty=0 update >/dev/null
in_tree apt-get -q -o Dpkg::Use-Pty=0 install --yes /root/edge.deb >/dev/null || fail "the package does not install"
without_anything "$tree"
configure() {
  local name=$1 device=$2
  in_tree livepeer-edge setup --config "/etc/livepeer-edge/$name.toml" --source "v4l2:$device" \
    --orchestrator.urls 127.0.0.1:8935 --job.model noop --output "/run/$name/out.ts" \
    --signer.urls http://127.0.0.1:8936 --signer.headers '{"Authorization": "credential:signer-headers"}' \
    --video.width 320 --video.height 240 --video.fps 5 --encoder.speed ultrafast \
    --video.bitrate 200000 --video.min-bitrate 200000 --video.max-bitrate 200000 # a constant bitrate: the emulator's speed is not that of a link
  # The output is in memory, so that only other writes to the disk are counted.
  local unit=livepeer-edge
  [[ $name == livepeer-edge ]] || unit=livepeer-edge@$name
  mkdir -p "$tree/etc/systemd/system/$unit.service.d"
  printf '[Service]\nRuntimeDirectory=%s\nRuntimeDirectoryMode=0755\n' "$name" \
    >"$tree/etc/systemd/system/$unit.service.d/test.conf"
}
configure livepeer-edge /dev/first-camera
configure front /dev/livepeer-edge/front
# A udev rule gives the second camera a name, so that its instance starts when the camera appears.
cat >"$tree/etc/udev/rules.d/65-cameras.rules" <<'RULES'
SUBSYSTEM=="video4linux", ATTR{name}=="vivid-000-vid-cap", SYMLINK+="first-camera"
SUBSYSTEM=="video4linux", ATTR{name}=="vivid-001-vid-cap", ENV{LIVEPEER_EDGE}="front"
RULES

install -d -m 700 "$tree/etc/credstore"
for name in livepeer-edge livepeer-edge-front; do
  echo secret-of-the-test >"$tree/etc/credstore/$name.signer-headers"
  chmod 600 "$tree/etc/credstore/$name.signer-headers"
done

# --- the test and the orchestrator ----------------------------------------------------------------------
install -m 755 "$sandbox" "$tree/usr/local/bin/edge-sandbox"
echo edge >"$tree/etc/hostname"
printf '127.0.0.1 localhost edge\n' >"$tree/etc/hosts"
echo '/dev/vda / ext4 defaults,noatime 0 1' >"$tree/etc/fstab"
echo vivid >"$tree/etc/modules-load.d/vivid.conf"
echo 'options vivid n_devs=2 node_types=0x1,0x1 num_inputs=1,1 input_types=0x0,0x0' >"$tree/etc/modprobe.d/vivid.conf"
echo 0123456789abcdef0123456789abcdef >"$tree/etc/machine-id"
in_tree passwd --delete root >/dev/null
cat >"$tree/etc/systemd/system/edge-sandbox.service" <<'UNIT'
[Service]
ExecStart=/usr/local/bin/edge-sandbox sandbox --listen 127.0.0.1:8935 --signer 127.0.0.1:8936 --paying
[Install]
WantedBy=multi-user.target
UNIT
cat >"$tree/etc/systemd/system/device-test.service" <<'UNIT'
[Unit]
After=multi-user.target
[Service]
Type=oneshot
ExecStart=/usr/local/bin/device-test
StandardOutput=tty
StandardError=tty
TTYPath=/dev/console
TimeoutStartSec=infinity
[Install]
WantedBy=graphical.target
UNIT
cp "$project/cross/device-test.sh" "$tree/usr/local/bin/device-test"
cp "$project/cross/inside.sh" "$tree/usr/local/lib/inside.sh"
echo "QUIET=$quiet" >"$tree/etc/default/device-test"
ln -sf /lib/systemd/system/graphical.target "$tree/etc/systemd/system/default.target"
in_tree systemctl --quiet enable edge-sandbox.service device-test.service 2>/dev/null

# --- kernel, initramfs, disk ----------------------------------------------------------------------------
version=$(ls "$tree/lib/modules")
modules=$tree/lib/modules/$version
first=$work/device-$arch-initramfs
rm -rf "$first"
mkdir -p "$first"/{bin,modules,proc,sys,dev,root}
cp "$tree/bin/busybox" "$first/bin/"
wanted=()
add_module() {
  local line file
  line=$(grep -E "/$1\.ko(\.xz)?:" "$modules/modules.dep") || return 0 # built in
  # The line lists the modules that this one depends on, in reverse order of loading.
  for file in $(tr ' ' '\n' <<<"${line#*:}" | tac) "${line%%:*}"; do
    [[ " ${wanted[*]} " == *" ${file##*/} "* ]] && continue
    cp "$modules/$file" "$first/modules/"
    wanted+=("${file##*/}")
  done
}
for module in virtio_pci virtio_blk crc32c_generic ext4; do add_module "$module"; done
{
  echo '#!/bin/busybox sh'
  echo '/bin/busybox --install -s /bin'
  echo 'mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev'
  printf 'insmod /modules/%s\n' "${wanted[@]}"
  echo 'n=0; while [ ! -b /dev/vda ] && [ $n -lt 100 ]; do n=$((n + 1)); sleep 0.1; done'
  echo 'mount -t ext4 -o rw,noatime /dev/vda /root || exec sh'
  echo 'umount /proc; umount /sys; mount --move /dev /root/dev; exec switch_root /root /sbin/init'
} >"$first/init"
chmod +x "$first/init"
(cd "$first" && find . | cpio --create --format=newc --quiet | gzip -1) >"$work/device-$arch.initramfs"
cp "$tree/boot/vmlinuz-$version" "$work/device-$arch.kernel"
for mounted in proc sys dev; do umount --recursive "$tree/$mounted"; done
disk=$work/device-$arch.ext4
rm -f "$disk"
truncate --size 4G "$disk"
mke2fs -q -t ext4 -L root -d "$tree" "$disk"

# --- boots ----------------------------------------------------------------------------------------------
# boot LOG MARK SECONDS: runs the device until MARK appears on its console, then cuts the power.
boot() {
  local log=$1 mark=$2 limit=$3 device
  "${machine[@]}" -accel tcg,thread=multi -smp 2 -m 2048 -nographic -no-reboot -nic none \
    -kernel "$work/device-$arch.kernel" -initrd "$work/device-$arch.initramfs" \
    -append "root=/dev/vda rw console=$console quiet systemd.firstboot=off systemd.show_status=0" \
    -drive "file=$disk,format=raw,if=none,id=disk,cache=writeback" -device virtio-blk-pci,drive=disk \
    </dev/null >"$log" 2>&1 &
  device=$!
  for ((second = 0; second < limit; second++)); do
    sleep 1
    if grep -qa "$mark" "$log"; then
      kill -KILL "$device"
      wait "$device" 2>/dev/null || true
      return
    fi
    if ! kill -0 "$device" 2>/dev/null; then
      tail -n 30 "$log" >&2
      fail "the device ended after $second s; its console is in $log"
    fi
  done
  kill -KILL "$device" 2>/dev/null || true
  tail -n 30 "$log" >&2
  fail "$mark did not appear on the console within $limit s; see $log"
}
log=$work/device-$arch
say "first boot"
boot "$log-1.log" DEVICE-TEST-END $((1800 + quiet))
say "the power was cut; second boot"
boot "$log-2.log" DEVICE-TEST-END 1800
e2fsck -fy "$disk" >"$log-fsck.log" 2>&1 || [[ $? == 1 ]] || fail "the file system is damaged: see $log-fsck.log"

grep -hao 'RESULT .*' "$log-1.log" "$log-2.log" | tr -d '\r' | sed 's/^RESULT /  /' >&2
if grep -qa 'RESULT FAILED' "$log-1.log" "$log-2.log"; then
  fail "see the lines above; the consoles are in $log-*.log"
fi
say "passed: $arch"
