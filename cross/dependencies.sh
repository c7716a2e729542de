#!/usr/bin/env bash
# Checks the dependencies: advisories (RustSec), licences, duplicate versions and sources, by the rules in
# cross/deny.toml; that none is unused; and that livepeer-gateway does not depend on GStreamer. In the lock file of the
# fuzz targets, only advisories and sources are checked.
#
#   cross/dependencies.sh
#
# Needs git and the network: the advisory database is fetched at each run. EDGE_ADVISORIES names another git
# repository to fetch it from. cargo-deny and cargo-machete are installed into the work folder if they are missing.
set -euo pipefail
source "$(dirname "$0")/ground.sh"

cd "$project"
# cross/deny.toml puts the advisory database into this folder.
export EDGE_WORK=$work
export PATH=$work/tools/bin:$PATH
for tool in cargo-deny cargo-machete; do
  command -v "$tool" >/dev/null || cargo install --quiet --locked --root "$work/tools" "$tool" >&2 ||
    fail "$tool is missing and cannot be installed"
done
if [[ ${EDGE_ADVISORIES-} ]]; then
  # Git fetches the database from EDGE_ADVISORIES in this run; all other addresses are unchanged.
  export GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=url.$EDGE_ADVISORIES.insteadOf
  export GIT_CONFIG_VALUE_0=https://github.com/RustSec/advisory-db
fi

# deny MANIFEST CHECK...: cargo-deny's checks of a workspace and its lock file.
deny() {
  local manifest=$1
  shift
  cargo metadata --locked --manifest-path "$manifest" --format-version 1 >/dev/null ||
    fail "the lock file of $manifest is out of date: cargo update --workspace --manifest-path $manifest"
  say "cargo deny: $manifest: $*"
  cargo deny --locked --manifest-path "$manifest" --config cross/deny.toml \
    check --deny warnings "$@" >&2 || fail "$manifest: see above"
}
deny Cargo.toml advisories bans licenses sources
deny tests/fuzz/Cargo.toml advisories sources
say "advisories as of $(git -C "$work"/advisories/*/ log -1 --format=%cs)"

# cargo-machete searches all folders below a manifest. A copy without the other crates shows which dependencies of the
# program only these crates use.
program=$work/program
mapfile -t crates < <(find src tests -name target -prune -o -name Cargo.toml -printf '%h\n')
((${#crates[@]})) || fail "no crates below src and tests"
rm -rf "$program"
mkdir -p "$program"
tar --create "${crates[@]/#/--exclude=}" Cargo.toml src tests | tar --extract --directory "$program"
say "cargo machete: ${crates[*]}"
cargo machete --skip-target-dir "${crates[@]}" >&2 || fail "unused dependencies of a crate: see above"
# The copy is in a folder that git ignores.
cargo machete --no-ignore "$program" >&2 || fail "unused dependencies of the program or its tests: see above"

tree=$(cargo tree --locked --package livepeer-gateway --all-features --target all \
  --edges normal,build,dev --prefix none --format '{p}')
[[ $tree == *tokio* ]] || fail "cargo tree shows no dependencies of livepeer-gateway"
if found=$(grep -oE '^(gstreamer|glib|gio|livepeer-(media|sandbox|edge))[a-z-]*' <<<"$tree"); then
  fail "livepeer-gateway depends on $(sort -u <<<"$found" | paste -sd ' ')"
fi
say "no complaints"
