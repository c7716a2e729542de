#!/usr/bin/env bash
# Checks everything, tests too, with the oldest Rust that it takes: Debian 13's own, in a chroot of that.
# rust-version in Cargo.toml keeps cargo from newer packages only where these say what they need.
#
#   cross/oldest.sh
#
# Takes 2 minutes, and 2 more the first time. Needs root, mmdebstrap and a mirror of Debian.
set -euo pipefail
source "$(dirname "$0")/ground.sh"

need_root
in_own_mounts "$@"
command -v cargo >/dev/null || skip "cargo is missing: https://rustup.rs"

place=$work/oldest
make_tree "$place" trixie --variant=minbase \
  --include=cargo,gcc,libc6-dev,pkg-config,libgstreamer1.0-dev,libgstreamer-plugins-base1.0-dev >&2
cd "$project"
cargo fetch --locked --quiet
mkdir -p "$place"/{project,output,cargo/registry}
mount --bind -o ro "$project" "$place/project"
mount --bind "${CARGO_HOME:-$HOME/.cargo}/registry" "$place/cargo/registry"
enter "$place" env CARGO_HOME=/cargo CARGO_TARGET_DIR=/output CARGO_TERM_COLOR=never \
  sh -c 'cd /project && rustc --version && exec nice cargo check --locked --offline --workspace --all-targets' >&2
say "it builds"
