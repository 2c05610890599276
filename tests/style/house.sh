#!/usr/bin/env bash
# The rules of the house that a machine can check: who may include whom, where libraries are wrapped, how long a file may be.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
bad=0
complain() {
  printf '%s:\n%s\n' "$1" "$2" >&2
  bad=1
}
forbid() {
  local what=$1 found
  shift
  found=$(git grep -nE "$@" 2>/dev/null || true)
  [[ -z $found ]] || complain "$what" "$found"
}
forbid "the worker and common code do not know the operator" '#include "operator/' -- worker common
forbid "the operator and common code do not know the worker" '#include "worker/' -- operator common
forbid "librdkafka is wrapped in common/kafka" '#include [<"]librdkafka' -- '*.h' '*.cc' ':!common/kafka' ':!tests/bench' ':!tests/support/mock_kafka.cc'
forbid "cpp-httplib is wrapped in common/http" '#include [<"]httplib' -- '*.h' '*.cc' ':!common/http'
forbid "RocksDB is wrapped in worker/store" '#include [<"]rocksdb' -- '*.h' '*.cc' ':!worker/store' ':!tests'
forbid "spdlog is wrapped in common/base" '#include [<"]spdlog' -- '*.h' '*.cc' ':!common/base'
forbid "no throw in our code" '^[^/]*\bthrow\b[^a-z]' -- 'common/*.cc' 'worker/*.cc' 'operator/*.cc'
forbid "no sleep in C++ tests: await a condition" 'sleep_for|usleep\(' -- 'tests/unit/*.cc' 'tests/simulation/*.cc'

long=$(git ls-files '*.h' '*.cc' | xargs wc -l | awk '$2 != "total" && (($2 ~ /\.h$/ && $1 > 200) || ($2 ~ /\.cc$/ && $2 !~ /^tests\// && $1 > 500)) { print "  " $1 " " $2 }')
[[ -z $long ]] || complain "files that hold more than one concept" "$long"
# Scripts, too; those that were longer when this rule came are listed with their length, and only get shorter.
scripts=$(git grep -lE '^(#!.*bash|# shellcheck shell)' -- hack tests .ci | xargs wc -l |
  awk 'NR == FNR { most[$2] = $1; next } $2 != "total" && $1 > ($2 in most ? most[$2] : 300) { print "  " $1 " " $2 }' \
    tests/style/long_scripts.list -)
[[ -z $scripts ]] || complain "scripts that hold more than one concept" "$scripts"
wide=$(hack/format --check) || complain "comments beyond 100 columns; to mend: hack/format" "$wide"
cmp -s crds/streamjobs.yaml charts/coho/files/streamjobs.yaml 2>/dev/null || [[ ! -e charts/coho/files/streamjobs.yaml ]] ||
  complain "crds/streamjobs.yaml and the chart's copy differ" "copy one over the other"
exit "$bad"
