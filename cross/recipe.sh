#!/bin/sh
# Prepares the environment in which livepeer-edge is compiled for ARCH: installs a compiler, and GStreamer to link
# against. Runs as root in Debian 11, whose glibc 2.31 is the oldest on supported devices (Jetson's Ubuntu 20.04): the
# Dockerfiles run it for `cross`, build.sh runs it in a chroot.
#
#   recipe.sh amd64|arm64|armhf
set -eu
export DEBIAN_FRONTEND=noninteractive

arch=$1
case $arch in
  amd64) packages="gcc libc6-dev" ;;
  arm64) packages="gcc-aarch64-linux-gnu libc6-dev-arm64-cross" ;;
  armhf) packages="gcc-arm-linux-gnueabihf libc6-dev-armhf-cross" ;;
  *) echo "recipe: unknown architecture $arch" >&2; exit 1 ;;
esac

dpkg --add-architecture "$arch"
# The signatures of Debian 11 are not renewed any more, so they may have expired.
apt-get -o Acquire::Check-Valid-Until=false -o Acquire::Retries=3 -q update
# Build scripts run on this computer, so its own gcc is needed too. Each image has the GStreamer of one architecture.
# shellcheck disable=SC2086
apt-get -o Acquire::Retries=3 -q install --yes --no-install-recommends \
  gcc libc6-dev pkg-config ca-certificates $packages \
  "libgstreamer1.0-dev:$arch" "libgstreamer-plugins-base1.0-dev:$arch"
apt-get clean
