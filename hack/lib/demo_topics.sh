# shellcheck shell=bash disable=SC2154
# The demo's topics, and which of them it made: those on a broker of the user's that were there before are not the demo's.
# Sourced by hack/demo, which says $KAFKA, $namespace and $context.

# What was not there before, on a broker of the user's: "<broker> <pattern>".
readonly topics_file=$COHO_RUN_DIR/topics-${context//[^A-Za-z0-9._-]/_}

# The jobs' own topics, too: <prefix>-coordinator and so on.
readonly topic_patterns="$WEB_VISITS_TOPICS coho-$namespace\\.clients-.* coho-$namespace\\.visits-.*"

delete_topics() {
  local broker=$1 pattern=$2
  "$COHO_ROOT/hack/kafka" tool org.apache.kafka.tools.TopicCommand --bootstrap-server "$broker" --delete --if-exists --topic "$pattern"
}

# What is there before the demo is not the demo's.
note_topics() {
  local there pattern
  there=$(kcat -b "$KAFKA" -L -J -m 20 | jq -r '.topics[].topic')
  set -f # a pattern is not a file's name
  for pattern in $topic_patterns; do
    grep -qxE -e "$pattern" <<<"$there" || echo "$KAFKA $pattern" >>"$topics_file"
  done
  set +f
}

delete_noted_topics() {
  local broker brokers
  mapfile -t brokers < <(cut -d' ' -f1 "$topics_file" | sort -u)
  for broker in "${brokers[@]}"; do
    delete_topics "$broker" "$(awk -v broker="$broker" '$1 == broker { print $2 }' "$topics_file" | sort -u | paste -sd'|')"
  done
  rm -f "$topics_file"
}
