#!/usr/bin/env bash
# Installs the packages that are needed to build, run and test livepeer-edge, unless they are installed already.
#
#   cross/setup.sh [--go]      --go: also Go, for the tests against the real trickle server
#
# For Debian, Raspberry Pi OS and Ubuntu; as root or with sudo. On other systems it only lists the packages. Rust itself
# is not installed: see https://rustup.rs.
set -euo pipefail

packages=(
  gcc libc6-dev pkg-config                              # the linker, and C for the crypto library
  libgstreamer1.0-dev libgstreamer-plugins-base1.0-dev  # to build against
  gstreamer1.0-plugins-base                             # test picture, conversion, decoding
  gstreamer1.0-plugins-good                             # cameras, MJPEG, files
  gstreamer1.0-plugins-bad                              # H.264 parser, hardware encoders
  gstreamer1.0-plugins-ugly                             # x264
  gstreamer1.0-libav                                    # decoders
  gstreamer1.0-rtsp gstreamer1.0-tools                  # RTSP output, and a receiver of SRT in the tests
  ffmpeg                                                # decoders and an RTMP server, for comparison in the tests
  python3-gi gir1.2-gst-rtsp-server-1.0                 # the network camera of the tests
  glib-networking                                       # TLS of network cameras
  systemd                                               # systemd-analyze, which checks the units
  shellcheck                                            # checks the scripts
  faketime                                              # a wrong clock for one program of the tests
  zsh fish                                              # read their completions in the tests
  bsdutils                                              # script, which gives the tests of setup a terminal
  mosquitto mosquitto-clients                           # the MQTT broker of the tests
  stunnel4                                              # TLS before the RTMP server of the tests
  xvfb gstreamer1.0-x                                   # the display of the tests
)
if [[ ${1-} == --go ]] && ! command -v go >/dev/null; then
  packages+=(golang-go ca-certificates)
fi

say() { printf 'setup: %s\n' "$*" >&2; }

as_root() {
  if [[ $(id -u) == 0 ]]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    say "root is needed for: $*"
    return 1
  fi
}

# Other programs may hold apt's lock for some time, especially on a new device, so wait for it.
apt() {
  as_root env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 -q "$@"
}

is_installed() {
  [[ $(dpkg-query --show --showformat='${db:Status-Status}' "$1" 2>/dev/null) == installed ]]
}

if command -v apt-get >/dev/null; then
  missing=()
  for package in "${packages[@]}"; do
    is_installed "$package" || missing+=("$package")
  done
  if ((${#missing[@]})); then
    say "installing ${missing[*]}"
    apt update
    apt install --yes --no-install-recommends "${missing[@]}"
  fi
  # promtool checks the metrics in the tests. It is fetched alone, because its package would also start a server.
  tools=$(cd "$(dirname "$0")/.." && pwd)/target/tools
  if ! command -v promtool >/dev/null && [[ ! -x $tools/promtool ]]; then
    say "fetching promtool"
    mkdir -p "$tools"
    place=$(mktemp -d)
    (cd "$place" && apt-get -q download prometheus >&2 && dpkg-deb --fsys-tarfile ./*.deb) |
      tar --extract --directory "$tools" --strip-components=3 ./usr/bin/promtool
    rm -r "$place"
  fi
elif ! pkg-config --exists gstreamer-1.0 gstreamer-app-1.0 gstreamer-video-1.0; then
  say "this system has no apt; install the contents of these packages of Debian: ${packages[*]}"
  exit 1
fi

if ! command -v cargo >/dev/null; then
  say "Rust is missing: see https://rustup.rs"
  exit 1
fi
if command -v rustup >/dev/null; then
  cargo fmt --version >/dev/null 2>&1 || rustup component add rustfmt
  cargo clippy --version >/dev/null 2>&1 || rustup component add clippy
elif ! cargo fmt --version >/dev/null 2>&1 || ! cargo clippy --version >/dev/null 2>&1; then
  # Debian's rustfmt and clippy are for an older compiler than its rustc-web.
  say "cargo fmt and cargo clippy, which the tests run, are missing: see https://rustup.rs"
fi
say "ready"
