#!/usr/bin/env bash
# The checks that must pass before each commit: format, lints (with and without the sandbox), documentation and tests.
# Arguments are passed to `cargo test`.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo fmt --check
cargo clippy --locked --workspace --all-targets -- -D warnings
cargo clippy --locked --all-targets --no-default-features -- -D warnings
# Clippy also checks the long checks: `--all-targets` leaves out tests that do not run by default.
cargo clippy --locked --test faults --test links --test soak -- -D warnings
RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps

# A test that cannot run on this computer writes its name to this list: see tests/skip/mod.rs.
report=$(mktemp -d)
trap 'rm -rf "$report"' EXIT
export SKIPPED=$report/skipped
touch "$SKIPPED"
status=0
cargo test --locked --workspace "$@" 2>&1 | tee "$report/output" || status=$?

# Print the sum over all test programs last. The harness counts a skipped test as passed, so subtract it.
skipped=$(wc -l <"$SKIPPED")
if ((skipped)); then
  printf '\nskipped here:\n'
  cat "$SKIPPED"
fi
awk -v skipped="$skipped" '/^test result:/ { passed += $4; failed += $6; ignored += $8 }
  END { printf "\n%d passed, %d failed, %d skipped\n", passed - skipped, failed, skipped + ignored }' "$report/output"
exit "$status"
