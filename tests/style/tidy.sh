#!/usr/bin/env bash
# clang-tidy over all sources that the build directory knows; results are kept per file content, so that a second run is quick.
#   tidy.sh BUILD_DIR
set -euo pipefail
# shellcheck source=../../hack/lib/steps.sh
source "$(dirname "${BASH_SOURCE[0]}")/../../hack/lib/steps.sh"
cd "$COHO_ROOT"
build_dir=$1

# Whatever a verdict depends on: the configuration, the headers, the sources themselves.
headers=$(git ls-files '*.h' | xargs cat .clang-tidy | sha256sum | cut -c1-16)
verdicts=$COHO_CACHE/tidy
mkdir -p "$verdicts"
check() {
  local file=$1 verdict
  verdict=$verdicts/$(sha256sum <"$file" | cut -c1-16)-$headers
  [[ -e $verdict ]] && return 0
  clang-tidy-14 --quiet -p "$build_dir" "$file" 2>/dev/null || return 1
  touch "$verdict"
}
export -f check
export build_dir headers verdicts
git ls-files 'common/*.cc' 'worker/*.cc' 'operator/*.cc' | xargs -P "$(nproc)" -I{} bash -c 'check {}'
