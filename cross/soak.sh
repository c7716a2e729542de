#!/usr/bin/env bash
# Runs the built program against local orchestrators for hours, with random faults. Fails if memory, threads or
# descriptors grow, or if a recovery takes more than a minute.
#
#   cross/soak.sh HOURS [SEED]     0.5 is half an hour; the same seed gives the same faults
set -euo pipefail
cd "$(dirname "$0")/.."

: "${1:?usage: soak.sh HOURS [SEED]}"
exec cargo test --release --locked --test soak -- "$@"
