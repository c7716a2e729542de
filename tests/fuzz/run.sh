#!/usr/bin/env bash
# Runs every fuzz target, or only the named ones, each for SECONDS: `tests/fuzz/run.sh [SECONDS [TARGET…]]`. Needs the
# nightly toolchain and cargo-fuzz (`cargo install cargo-fuzz`). Findings are written to tests/fuzz/artifacts.
set -euo pipefail
cd "$(dirname "$0")"

seconds=${1:-60}
shift || true
targets=("$@")
if [ ${#targets[@]} -eq 0 ]; then
    mapfile -t targets < <(cargo +nightly fuzz list --fuzz-dir .)
fi

failed=0
for target in "${targets[@]}"; do
    mkdir -p "corpus/$target"
    # A hang is a finding, and so is memory above the limit, because the inputs are small.
    if cargo +nightly fuzz run --fuzz-dir . "$target" "corpus/$target" "seeds/$target" -- \
        -max_total_time="$seconds" -timeout=5 -rss_limit_mb=1024 -print_final_stats=1 \
        >"corpus/$target.log" 2>&1; then
        outcome=ok
    else
        outcome=FOUND
        failed=1
    fi
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "corpus/$target.log")
    edges=$(sed -n 's/.* cov: \([0-9]*\) .*/\1/p' "corpus/$target.log" | tail -n 1)
    printf '%-12s %-6s %12s executions %8s edges\n' "$target" "$outcome" "${runs:-?}" "${edges:-?}"
done
exit $failed
