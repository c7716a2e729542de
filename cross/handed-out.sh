#!/usr/bin/env bash
# Prints a page for the packages. A link to a file of the sources, or a picture, is replaced by its text, since the
# packages contain only a few of these files.
#
#   cross/handed-out.sh PAGE
set -euo pipefail

sed -E 's/!?\[([^]]*)\]\([^):]*\)/\1/g' "${1:?usage: handed-out.sh PAGE}"
