#!/usr/bin/env bash
# clang's thread-safety analysis over every source that sees an annotation of common/base/thread_annotations.h: what a mutex guards
# is touched only by who holds it.
set -euo pipefail
# shellcheck source=../../hack/lib/steps.sh
source "$(dirname "${BASH_SOURCE[0]}")/../../hack/lib/steps.sh"
cd "$COHO_ROOT"

prefix=$(hack/deps --print-prefix)
export prefix
analyse() {
  clang++-14 -std=c++20 -fsyntax-only -Wno-everything -Wthread-safety -Werror=thread-safety -include tests/style/annotated_std.h \
    -I. "-I$prefix/include" -DCOHO_VERSION='""' -DCPPHTTPLIB_USE_POLL "$@"
}
export -f analyse

# It does find what is wrong.
wrong=$(mktemp --suffix=.cc)
trap 'rm -f "$wrong"' EXIT
cat >"$wrong" <<'END'
#include "common/base/thread_annotations.h"
class Counter {
 public:
  void Add() { ++count_; }
 private:
  std::mutex mutex_;
  int count_ COHO_GUARDED_BY(mutex_) = 0;
};
void Use(Counter* counter) { counter->Add(); }
END
if analyse "$wrong" 2>/dev/null; then die "the analysis passes over an access without the mutex"; fi

mapfile -t annotated < <(git grep -lE 'COHO_(GUARDED_BY|REQUIRES|EXCLUDES)\(' -- common worker operator ':!common/base/thread_annotations.h')
patterns=()
for file in "${annotated[@]}"; do patterns+=(-e "#include \"$file\""); done
((${#patterns[@]})) || die "no annotation in the tree"
mapfile -t sources < <({ printf '%s\n' "${annotated[@]}"; git grep -lF "${patterns[@]}" -- 'common/*.cc' 'worker/*.cc' 'operator/*.cc'; } |
  grep '\.cc$' | sort -u)
printf '%s\n' "${sources[@]}" | xargs -P "$(nproc)" -I{} bash -c 'analyse {}'
echo "${#annotated[@]} files with annotations, ${#sources[@]} sources"
