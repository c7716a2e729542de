#!/usr/bin/env bash
# Runs the built program against orchestrators on this machine for hours, with random faults, and fails if
# memory, threads or descriptors grow, or if a fault costs more than a minute.
#
#   cross/soak.sh HOURS [SEED]     0.5 is half an hour; a seed repeats a run's faults
set -euo pipefail
cd "$(dirname "$0")/.."

: "${1:?usage: soak.sh HOURS [SEED]}"
exec cargo test --release --locked --test soak -- "$@"
