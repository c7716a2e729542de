#!/usr/bin/env bash
# Everything that must hold before a change goes in: format, lints (with and without the sandbox),
# documentation, tests. Arguments go to `cargo test`.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo fmt --check
cargo clippy --locked --workspace --all-targets -- -D warnings
cargo clippy --locked --all-targets --no-default-features -- -D warnings
# The long checks: `--all-targets` leaves out what does not run by default.
cargo clippy --locked --test faults --test links --test soak -- -D warnings
RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps

# A test that cannot run here writes its name to this list: see tests/skip/mod.rs.
report=$(mktemp -d)
trap 'rm -rf "$report"' EXIT
export SKIPPED=$report/skipped
touch "$SKIPPED"
status=0
cargo test --locked --workspace "$@" 2>&1 | tee "$report/output" || status=$?

# The sum over all test programs, last. A skipped test returned like one that passed.
skipped=$(wc -l <"$SKIPPED")
if ((skipped)); then
  printf '\nskipped here:\n'
  cat "$SKIPPED"
fi
awk -v skipped="$skipped" '/^test result:/ { passed += $4; failed += $6; ignored += $8 }
  END { printf "\n%d passed, %d failed, %d skipped\n", passed - skipped, failed, skipped + ignored }' "$report/output"
exit "$status"
