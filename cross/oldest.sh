#!/usr/bin/env bash
# Compiles the whole workspace, including tests, with the oldest supported Rust, which is `rust-version` in Cargo.toml.
#
#   cross/oldest.sh
#
# Takes 2 minutes. Needs rustup, which fetches that compiler if it is missing.
set -euo pipefail
source "$(dirname "$0")/ground.sh"

command -v rustup >/dev/null || fail "rustup is missing: https://rustup.rs"
cd "$project"
oldest=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
[[ $oldest ]] || fail "Cargo.toml has no rust-version"
rustup toolchain list | grep -q "^$oldest-" || rustup toolchain install "$oldest" --profile minimal >&2
CARGO_TARGET_DIR=$work/oldest cargo "+$oldest" check --locked --workspace --all-targets >&2
say "the workspace builds with Rust $oldest"
