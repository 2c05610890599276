#!/usr/bin/env bash
# Every C++ file is as clang-format writes it. To mend: hack/format
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
git ls-files '*.h' '*.cc' | xargs clang-format-14 --dry-run --Werror
