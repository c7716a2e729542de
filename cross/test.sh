#!/usr/bin/env bash
# Everything that must hold before a change goes in: format, lints (with and without the sandbox),
# documentation, tests. Arguments go to `cargo test`.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo fmt --check
cargo clippy --locked --all-targets -- -D warnings
cargo clippy --locked --all-targets --no-default-features -- -D warnings
# The long checks: `--all-targets` leaves out what does not run by default.
cargo clippy --locked --test faults --test links --test soak -- -D warnings
RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps
# Last and in one go, so that what is seen last is cargo's own summary.
exec cargo test --locked "$@"
