#!/usr/bin/env bash
# Runs the commands of the table "Build the packages" in cross/README.md in their order, on a clean clone of the last
# commit, so that the table stays true.
#
#   cross/readme.sh [WORD...]      only the commands that have one of these words, in the same order
#
# All commands together take an hour under emulation. Has the needs of these commands.
set -euo pipefail
source "$(dirname "$0")/ground.sh"

mapfile -t commands < <(sed -n 's/^| `\(cross\/[^`]*\)`.*/\1/p' "$project/cross/README.md")
((${#commands[@]})) || fail "cross/README.md has no table of commands"

clone=$work/readme
rm -rf "$clone"
mkdir -p "$work"
git clone --quiet --no-hardlinks "$project" "$clone"
cd "$clone"

is_wanted() {
  local command=$1 word
  shift
  (($#)) || return 0
  for word in "$@"; do [[ $command == *"$word"* ]] && return 0; done
  return 1
}

count=0
for command in "${commands[@]}"; do
  is_wanted "$command" "$@" || continue
  say "\$ $command"
  read -ra words <<<"$command"
  env -u EDGE_WORK "${words[@]}" || fail "$command"
  count=$((count + 1))
done
((count)) || fail "no command of cross/README.md contains one of: $*"
say "$count commands of cross/README.md succeeded"
