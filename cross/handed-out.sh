#!/usr/bin/env bash
# Prints a page as packages hold it: a link to a file, or a picture, becomes its text, since the package has few of the
# sources.
#
#   cross/handed-out.sh PAGE
set -euo pipefail

sed -E 's/!?\[([^]]*)\]\([^):]*\)/\1/g' "${1:?usage: handed-out.sh PAGE}"
