# shellcheck shell=bash disable=SC2034
# Functions for the scripts of this folder: names of architectures, the work folder, messages, file systems. Source this
# file after `set -euo pipefail`.

project=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# The folder for everything that the scripts make: file systems, images, packages. It may be deleted at any time.
work=${EDGE_WORK:-$project/target/edge}
# The mirror of Debian; if EDGE_MIRROR is not set, mmdebstrap chooses one.
mirror=${EDGE_MIRROR-}
script=$(basename "$0" .sh)

say() { printf '%s: %s\n' "$script" "$*" >&2; }
fail() {
  say "failed: $*"
  exit 1
}
# Ends the script because this computer lacks something. Exit code 77 means that nothing was tested.
skip() {
  say "skipped: $*"
  exit 77
}

# need PROGRAM PACKAGE: skips unless this computer has the program.
need() {
  command -v "$1" >/dev/null || skip "$1 is missing: apt install $2"
}
need_root() {
  [[ $(id -u) == 0 ]] || skip "root is needed, for chroots and their mounts"
}

# of_architecture ARCH: sets `arch` (Debian's name), `target` (Rust's), `triplet` (gcc's), `emulator`.
of_architecture() {
  arch=$1
  case $arch in
    amd64) target=x86_64-unknown-linux-gnu triplet=x86_64-linux-gnu emulator=qemu-x86_64 ;;
    arm64) target=aarch64-unknown-linux-gnu triplet=aarch64-linux-gnu emulator=qemu-aarch64 ;;
    armhf) target=armv7-unknown-linux-gnueabihf triplet=arm-linux-gnueabihf emulator=qemu-arm ;;
    *) fail "unknown architecture $arch; known: amd64, arm64, armhf" ;;
  esac
}

# Skips unless this computer runs programs of `arch`, either itself or with qemu-user, which is registered if it is
# installed.
need_emulator() {
  [[ $arch == "$(dpkg --print-architecture)" ]] && return
  need "$emulator-static" qemu-user-static
  # mmdebstrap uses arch-test to find out whether scripts of packages for `arch` would run.
  need arch-test arch-test
  local formats=/proc/sys/fs/binfmt_misc
  [[ -e $formats/register ]] || mount -t binfmt_misc binfmt "$formats" ||
    skip "this kernel has no binfmt_misc, so nothing runs $arch"
  [[ -e $formats/$emulator ]] || /usr/lib/systemd/systemd-binfmt "/usr/lib/binfmt.d/$emulator.conf"
  [[ -e $formats/$emulator ]] || skip "the kernel did not register $emulator"
}

# in_own_mounts "$@": runs this script again in its own mount namespace, whose mounts end with the script.
in_own_mounts() {
  [[ ${EDGE_MOUNTS-} == own ]] || EDGE_MOUNTS=own exec unshare --mount "$0" "$@"
  unset EDGE_MOUNTS
}

# need_package: sets `package` to the path of the package for `arch`, and calls package.sh if there is none.
need_package() {
  local made="$work/packages/livepeer-edge_*_$arch.deb"
  compgen -G "$made" >/dev/null || "$project/cross/package.sh" "$arch" >&2
  package=$(compgen -G "$made")
  [[ $package != *$'\n'* ]] || fail "more than one package of $arch in $work/packages; keep one: $package"
}

# need_sandbox: sets `sandbox` to the path of the program for `arch` with the sandbox, and calls build.sh if there is
# none.
need_sandbox() {
  sandbox=$work/livepeer-edge-$arch-sandbox
  [[ -x $sandbox ]] || "$project/cross/build.sh" "$arch" >&2
}

# make_tree TREE SUITE OPTION...: makes a file system with mmdebstrap in the folder TREE. After a failure, TREE does not
# exist.
make_tree() {
  local tree=$1 suite=$2
  shift 2
  need mmdebstrap mmdebstrap
  need_root
  [[ -e $tree ]] && return
  say "making $tree of Debian $suite"
  rm -rf "$tree.part"
  mkdir -p "$work"
  nice mmdebstrap --quiet --components=main \
    --aptopt='APT::Install-Recommends "false"' --aptopt='Acquire::Check-Valid-Until "false"' \
    --aptopt='Acquire::Retries "3"' "$@" "$suite" "$tree.part" ${mirror:+"deb $mirror $suite main"}
  mv "$tree.part" "$tree"
}

# clean_tree SUITE: sets `tree` to a Debian for `arch` in which the package was never installed. All writes to it are
# discarded at the end of the script. Call `in_own_mounts` before.
clean_tree() {
  local base=$work/clean-$1-$arch layers=$work/overlay-$arch
  # It contains systemd, whose tools check the installed units.
  make_tree "$base" "$1" --variant=apt --architectures="$arch" --include=systemd,ca-certificates
  tree=$work/test-$1-$arch
  rm -rf "$tree"
  mkdir -p "$tree" "$layers"
  mount -t tmpfs tmpfs "$layers"
  mkdir "$layers/upper" "$layers/work"
  mount -t overlay overlay -o "lowerdir=$base,upperdir=$layers/upper,workdir=$layers/work" "$tree"
  cp /etc/resolv.conf "$tree/etc/resolv.conf"
  # It installs recommended packages, as a device does.
  sed -i '/Install-Recommends/d' "$tree/etc/apt/apt.conf.d/99mmdebstrap"
}

# enter TREE COMMAND...: runs a command in a chroot of the tree, with the kernel's file systems and a clean environment.
# Call `in_own_mounts` before.
enter() {
  local tree=$1
  shift
  mkdir -p "$tree/proc" "$tree/sys" "$tree/dev" "$tree/tmp" "$tree/root"
  mountpoint -q "$tree/proc" || mount -t proc proc "$tree/proc"
  mountpoint -q "$tree/sys" || mount --rbind /sys "$tree/sys"
  mountpoint -q "$tree/dev" || mount --bind /dev "$tree/dev"
  chroot "$tree" env -i HOME=/root LANG=C.UTF-8 \
    PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$@"
}

# without_anything TREE: writes the configurations that has_nothing in inside.sh uses, of instances without
# configuration, camera or network.
without_anything() {
  local folder=$1/etc/livepeer-edge
  # The configuration of the package.
  cp "$folder/livepeer-edge.toml" "$folder/fresh.toml"
  # A small picture, because an emulator is slow.
  local job=("[job]" "model = 'noop'" "[video]" "width = 320" "height = 240" "fps = 5")
  printf '%s\n' "[source]" "kind = 'v4l2'" "device = '/dev/nowhere'" \
    "[orchestrator]" "urls = ['127.0.0.1:8935']" "${job[@]}" >"$folder/no-camera.toml"
  printf '%s\n' "[source]" "kind = 'test'" \
    "[orchestrator]" "urls = ['orchestrator.example:8935']" "${job[@]}" >"$folder/no-network.toml"
}
