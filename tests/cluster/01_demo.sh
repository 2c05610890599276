#!/usr/bin/env bash
# The demo as a new user runs it; then every client's counts against an oracle, and the broken line with its origin.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

helm lint --strict "$COHO_ROOT/charts/coho" || fail "helm lint finds fault with the chart"
"$COHO_ROOT/hack/demo"

check_counts
# Read whole before it is looked at: with pipefail, a reader that stops early fails the pipe.
visits=$(final_visits)
top=${visits%%$'\n'*}
[[ $top == "482 66.249.73.135" || $(web_access_rounds) -gt 1 ]] || fail "busiest client: found '$top', expected 482 66.249.73.135"
if [[ $(web_access_rounds) -eq 1 ]]; then
  grep -qx '5 46.118.127.106' <<<"$visits" || fail "46.118.127.106 is not counted five times"
fi
[[ $(wc -l <<<"$visits") -eq 1753 ]] || fail "found $(wc -l <<<"$visits") clients, expected 1753"

[[ $(count_committed web-access-dead-letter) -eq $(web_access_rounds) ]] ||
  fail "dead-letter topic: found $(count_committed web-access-dead-letter) records, expected $(web_access_rounds)"
headers=$(read_committed web-access-dead-letter '%h\n' | sed -n 1p)
for header in coho-topic=web-access coho-partition= coho-offset= coho-error= coho-task=; do
  [[ $headers == *"$header"* ]] || fail "dead letter lacks header $header: $headers"
done
broken=$(zcat "$WEB_VISITS_DIR/web-access.log.gz" | sed -n 8899p)
[[ $(read_committed web-access-dead-letter '%s\n' | sed -n 1p) == "$broken" ]] || fail "the dead letter is not line 8,899 as it was"

description=$(kubectl describe streamjob visits)
grep -qE 'task 0 -> worker [01] on node[123], active, [a-z ]+, lag 0' <<<"$description" || fail "describe shows no assignment: $description"
