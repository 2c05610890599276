# shellcheck shell=bash disable=SC2034,SC2119,SC2120
# The example pipeline as steps: topics, data, waiting, reading back. Shared by hack/demo and the tests, so that the demo cannot
# rot. Needs steps.sh; KAFKA is the broker's address as this machine sees it.

readonly WEB_VISITS_DIR=$COHO_ROOT/examples/web-visits
readonly WEB_VISITS_RECORDS=10000
readonly WEB_VISITS_GOOD=9999 # one line is broken in the original
readonly WEB_VISITS_TOPICS="web-access requests-by-client visits web-access-dead-letter"

# Topics are made by librdkafka's clients on demand only where the broker allows it; ours does not.
create_topic() {
  local topic=$1 partitions=$2
  if kcat -b "$KAFKA" -L -J -m 20 | jq -e --arg t "$topic" '.topics[] | select(.topic == $t)' >/dev/null; then
    echo "topic $topic exists"
  else
    "$COHO_ROOT/hack/kafka" tool org.apache.kafka.tools.TopicCommand --bootstrap-server "$KAFKA" \
      --create --if-not-exists --topic "$topic" --partitions "$partitions"
  fi
}

# Records of a topic that a read_committed reader sees, one a line: "<partition> <key> <value>".
read_committed() {
  local topic=$1 format=${2:-%p %k %s\\n}
  kcat -C -q -b "$KAFKA" -t "$topic" -o beginning -e -f "$format" -X isolation.level=read_committed -m 20
}

count_committed() { read_committed "$1" '.\n' | wc -l; }

# Sends the whole log once more, `pause` seconds after each thousand lines.
send_web_access() {
  local pause=${1:-0}
  # No key, a new partition for each batch: the re-partitioning by client is the pipeline's job.
  zcat "$WEB_VISITS_DIR/web-access.log.gz" |
    awk -v pause="$pause" '{ print } NR % 1000 == 0 && pause > 0 { fflush(); system("sleep " pause) }' |
    kcat -P -b "$KAFKA" -t web-access -X sticky.partitioning.linger.ms=0 -X topic.partitioner=random
}

# How many times the log has been sent.
web_access_rounds() { echo $(($(count_committed web-access) / WEB_VISITS_RECORDS)); }

# Only once: a second run must not double the counts.
load_web_access() {
  local found
  found=$(count_committed web-access)
  if ((found > 0 && found % WEB_VISITS_RECORDS == 0)); then
    echo "web-access holds $found records already"
    return 0
  fi
  ((found == 0)) || die "topic web-access holds $found records, expected 0 or $WEB_VISITS_RECORDS; delete the topic and run again"
  send_web_access
  found=$(count_committed web-access)
  ((found == WEB_VISITS_RECORDS)) || die "topic web-access holds $found records after loading, expected $WEB_VISITS_RECORDS"
}

# Of one round, or of as many as given.
visits_complete() { (($(count_committed visits) >= WEB_VISITS_GOOD * ${1:-1})); }

# The highest count of each client, busiest first: "<count> <client>".
final_visits() {
  read_committed visits '%k %s\n' | awk '$2 > n[$1] { n[$1] = $2 } END { for (c in n) print n[c], c }' | sort -k1,1nr -k2
}

print_top_clients() {
  printf '\n%-18s %s\n' 'CLIENT' 'VISITS'
  final_visits | awk 'NR <= 10 { printf "%-18s %d\n", $2, $1 }'
  printf '%s clients in all\n' "$(final_visits | wc -l)"
}

print_dead_letters() {
  printf '\nRecords in the dead-letter topic: %s\n' "$(count_committed web-access-dead-letter)"
  read_committed web-access-dead-letter '  %h\n  %s\n'
}

# The oracle: counted by awk from the file itself, without any of our code. Line 8,899 is cut off inside its last field.
expected_visits() {
  zcat "$WEB_VISITS_DIR/web-access.log.gz" |
    awk -v rounds="${1:-1}" 'NR != 8899 { n[$1] += rounds } END { for (c in n) print n[c], c }' | sort -k1,1nr -k2
}

# Non-zero, and says what differs, unless every client has every running count 1..n exactly once after `rounds` of the log.
check_visits_exact() {
  local rounds=${1:-1} actual code=0
  actual=$(mktemp)
  read_committed visits '%k %s\n' >"$actual"
  awk '
    NR == FNR { want[$2] = $1; next }
    { if (seen[$1, $2]++) { printf "client %s: count %s was emitted twice\n", $1, $2; bad = 1 }
      got[$1]++; if ($2 > max[$1]) max[$1] = $2
      if (!($1 in want)) { printf "client %s is not in the log\n", $1; bad = 1 } }
    END {
      for (c in want) if (got[c] != want[c] || max[c] != want[c]) {
        printf "client %s: %d counts up to %d were emitted, the log has %d visits\n", c, got[c], max[c], want[c]; bad = 1 }
      for (c in want) clients++
      if (!bad) printf "%d clients, every running count exactly once\n", clients
      exit bad }' <(expected_visits "$rounds") "$actual" || code=$?
  rm -f "$actual"
  return $code
}
