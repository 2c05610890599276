# shellcheck shell=bash
# Helpers that every script in hack/ shares; source it, do not run it.
#
#   step NAME CMD...             run CMD with its output in a log file of its own; say how long it took; stop the script if it fails
#   die MSG                      say why on stderr and exit 1
#   recipe_hash FILE...          short hash of the files' contents: the name of what is built from them in the cache
#   ensure_apt PKG...            install the Debian packages that are missing
#   wait_until SECS WHAT CMD...  run CMD again and again until it succeeds
#   begin NAME CMD...            the same beside what follows; finish NAME waits for it and says how long it took
#   say_where_time_went          a table of the steps of this script and of the scripts that it ran
#   hold_lock FILE               let nobody else in until this script ends; say who holds it
#   await_http SECS URL [CURL_OPTION...]
#   as_root CMD...               through sudo when we are not root
#   need_root WHY                stop at once where neither works; become_root: run this script once more as root
#   start_process PIDFILE LOG CMD...     in the background, in a session of its own
#   record_process PIDFILE PID           the same for a process that somebody else has started
#   process_runs PIDFILE                 is the process that we recorded there still that process?
#   stop_process PIDFILE [SECS [SIG]]    end it, and only it; by force after SECS
#
# Everything a script makes lies in one of two places:
#   COHO_CACHE     what is expensive to build and harmless to keep (binaries, jars); named by a hash of its recipe
#   COHO_RUN_DIR   what runs now: pid files, logs, data

# Said before anything is installed or compiled, in words that an old bash, too, can say.
_refuse() {
  echo "${0##*/}: $1" >&2
  exit 1
}
# shellcheck disable=SC1091
_system=$(. /etc/os-release 2>/dev/null && echo "${PRETTY_NAME:-$ID}") || _system=$(uname -sr)
if ! grep -qs '^VERSION_CODENAME=bookworm' /etc/os-release || ! grep -qs '^ID=debian' /etc/os-release; then
  _refuse "this is ${_system:-an unknown system}, and Coho is built on Debian bookworm. In a container, for example:
  docker run -it -v \"\$PWD:/coho\" -w /coho debian:bookworm ./hack/demo --standalone"
fi
((BASH_VERSINFO[0] >= 5)) || _refuse "this bash is $BASH_VERSION; 5 or later is needed"

COHO_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
export HOME=${HOME:-/root} # a service manager may have set none
COHO_CACHE=${COHO_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/coho}
COHO_RUN_DIR=${COHO_RUN_DIR:-/var/tmp/coho}
export COHO_ROOT COHO_CACHE COHO_RUN_DIR
# /var/tmp is everybody's: what lies there under our name may be another user's, or a trap for root.
if [[ -e $COHO_RUN_DIR && ! -O $COHO_RUN_DIR && $(stat -c %u "$COHO_RUN_DIR") != "${SUDO_UID:-none}" ]]; then
  _refuse "$COHO_RUN_DIR belongs to $(stat -c %U "$COHO_RUN_DIR"), not to $(id -un): choose a COHO_RUN_DIR of your own"
fi
mkdir -p "$COHO_CACHE" "$COHO_RUN_DIR/logs"

die() {
  printf '%s: %s\n' "${0##*/}" "$*" >&2
  exit 1
}

as_root() {
  if [[ $EUID -eq 0 ]]; then "$@"; else sudo -n -- "$@"; fi
}

# Asks for the password once, where sudo wants one, and keeps the answer fresh while this script runs.
need_root() {
  ((EUID != 0)) || return 0
  command -v sudo >/dev/null || die "$1 needs root, or sudo, which is not installed"
  sudo -n true 2>/dev/null && return
  if [[ ! -t 0 ]] || ! sudo -v; then die "$1 needs root, or a sudo that lets $(id -un) do anything"; fi
  (while sleep 50 && kill -0 $$ 2>/dev/null && sudo -n -v 2>/dev/null; do :; done) 8>&- 9>&- &
}

# become_root WHY "$@"
become_root() {
  local name keep=()
  ((EUID != 0)) || return 0
  need_root "$1"
  shift
  for name in "${!COHO_@}" "${!CCACHE_@}"; do keep+=("$name=${!name}"); done
  exec sudo -n -- env "${keep[@]}" "$0" "$@"
}

# A container without privileges has a root that may not do this.
need_namespaces() {
  unshare --mount --net --pid --fork true 2>/dev/null ||
    die "$1 makes network, mount and pid namespaces, which this machine does not allow; in a container: run it --privileged"
}

# Seconds since START (an EPOCHREALTIME), with one decimal.
_elapsed_since() {
  local now=${EPOCHREALTIME/[.,]/} start=${1/[.,]/}
  local tenths=$(((now - start) / 100000))
  printf '%d.%d' $((tenths / 10)) $((tenths % 10))
}

# Nothing ever comes from there: to wait for it makes no process, as `sleep` does, of which a long build would see thousands.
exec {_silence}<> <(:)

# `set -e` does not hold inside a function that is tested by `if` or `||`, so CMD runs in a subshell that sets it anew and
# whose exit code is read plainly: a step that is a function stops at its first failing command, as one expects. For the
# same reason a step cannot set variables of the caller.
step() {
  local name=$1 start=$EPOCHREALTIME log pid now next_notice=30 code=0
  shift
  log=$COHO_RUN_DIR/logs/${0##*/}-$(printf '%s' "$name" | tr -cs 'A-Za-z0-9._-' '-').log
  mkdir -p "$COHO_RUN_DIR/logs"
  rm -f -- "$log" # it may be another user's
  # Monitor mode gives the step a process group of its own, so that an interrupted script takes the whole step with it.
  set -m
  (
    set +m -euo pipefail
    COHO_STEP_DEPTH=$((${COHO_STEP_DEPTH:-0} + 1)) "$@"
  ) >"$log" 2>&1 </dev/null &
  pid=$!
  set +m
  # shellcheck disable=SC2064 # this step's pid, now
  trap "kill -TERM -- -$pid 2>/dev/null; exit 130" INT TERM HUP
  # A line now and then tells a waiting person, or a CI log, that a long step is alive and what it is doing.
  while kill -0 "$pid" 2>/dev/null; do
    read -rt 0.05 -u "$_silence" || true
    now=${EPOCHREALTIME/[.,]/}
    if (((now - ${start/[.,]/}) / 1000000 >= next_notice)); then
      printf '[%6ss] %s ... %s\n' "$(_elapsed_since "$start")" "$name" "$(_last_line "$log")"
      next_notice=$((next_notice + 30))
    fi
  done
  wait "$pid" || code=$?
  trap - INT TERM HUP
  if ((code != 0)); then
    {
      printf '[%6ss] %s FAILED (exit code %d); the last lines of %s:\n' "$(_elapsed_since "$start")" "$name" "$code" "$log"
      tail -n 40 "$log" | sed 's/^/    /'
    } >&2
    exit "$code"
  fi
  printf '[%6ss] %s\n' "$(_elapsed_since "$start")" "$name"
  note_step "$name" "$start"
}

# note_step NAME START (an EPOCHREALTIME): something that took its time and is no `step`, for the table
note_step() {
  [[ -z ${COHO_STEP_TIMES:-} ]] ||
    printf '%s %s %s %s\n' "$2" "$(_elapsed_since "$2")" "${COHO_STEP_DEPTH:-0}" "$1" >>"$COHO_STEP_TIMES"
}

# What the step says last; of ninja, and of what rewrites its line, the newest state. Beside it how much it has said, so that
# one sees it move; a step within it counts for itself.
_last_line() {
  sed -E "/\(line [0-9]+\)\$/! s/^(.{0,100}).*/\1 (line $(wc -l <"$1"))/" <<<"$(tail -n 1 "$1" | tr '\r' '\n' | tail -n 1)"
}

declare -A _begun=()
begin() {
  local output && output=$(mktemp)
  (
    trap 'echo $?' EXIT
    step "$@"
  ) >"$output" 2>&1 &
  _begun[$1]="$! $output"
}

finish() {
  local pid output code
  read -r pid output <<<"${_begun[$1]}"
  unset "_begun[$1]"
  wait "$pid" 2>/dev/null || true # bash forgets its code when a later child gets the same pid; it is the last line
  code=$(tail -n 1 "$output")
  sed '$d' "$output"
  rm -f "$output"
  [[ $code == 0 ]] || exit "$code"
}

# For the end of a script that began something and does not get to finish it.
end_what_was_begun() {
  local name pid output
  for name in "${!_begun[@]}"; do
    read -r pid output <<<"${_begun[$name]}"
    kill -TERM "$pid" 2>/dev/null || true
    rm -f "$output"
  done
}

# The times of nested scripts' steps are collected in one file, whose name they inherit.
measure_steps() {
  [[ -n ${COHO_STEP_TIMES:-} ]] && return
  COHO_STEP_TIMES=$(mktemp)
  export COHO_STEP_TIMES
  _steps_measured_here=1
}

# Steps of less than a second do not matter; what ran beside other steps counts in both.
say_where_time_went() {
  [[ -n ${_steps_measured_here:-} ]] || return 0
  printf '\n%9s  %s\n' SECONDS STEP
  sort -n "$COHO_STEP_TIMES" | while read -r _ seconds depth name; do
    ((${seconds%.*} == 0)) || printf '%9s  %*s%s\n' "$seconds" $((depth * 2)) '' "$name"
  done
  rm -f "$COHO_STEP_TIMES"
}

recipe_hash() { cat -- "$@" | sha256sum | cut -c1-12; }

wait_until() {
  local seconds=$1 what=$2 deadline=$((${EPOCHREALTIME/[.,]/} + $1 * 1000000))
  shift 2
  until "$@" >/dev/null 2>&1; do
    if ((${EPOCHREALTIME/[.,]/} >= deadline)); then
      printf '%s: waited %s s in vain: %s\n' "${0##*/}" "$seconds" "$what" >&2
      return 1
    fi
    sleep 0.1
  done
}

await_http() {
  local seconds=$1 url=$2
  shift 2
  wait_until "$seconds" "$url answers" curl --silent --fail --max-time 5 --output /dev/null "$@" "$url"
}

# `apt-get update` is slow, so it runs only when the lists do not know what we want, or are stale; at most once per script.
# Several scripts may run side by side: wait for the package manager's locks instead of failing.
_apt_lists_updated=
_update_apt_lists() {
  [[ -z $_apt_lists_updated ]] || return 1
  _apt_lists_updated=1
  as_root flock /var/lock/coho-apt-update apt-get update -q
}

ensure_apt() {
  local package missing=()
  for package in "$@"; do
    [[ $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) == installed ]] || missing+=("$package")
  done
  ((${#missing[@]})) || return 0
  echo "installing ${missing[*]}"
  local install=(as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends
    -o DPkg::Lock::Timeout=900 "${missing[@]}")
  if ! apt-cache show --no-all-versions "${missing[@]}" >/dev/null 2>&1; then
    _update_apt_lists || true
  fi
  "${install[@]}" || { _update_apt_lists && "${install[@]}"; }
}

# One at a time: two runs would undo each other's work. Released when the script ends; what it leaves running (start_process)
# does not inherit it.
hold_lock() {
  mkdir -p "$(dirname "$1")"
  exec 9<>"$1"
  if ! flock --nonblock 9; then
    echo "waiting for $(cat "$1") to finish"
    flock 9
  fi
  printf '%s (pid %d)\n' "${0##*/}" $$ >"$1"
}

# The demo and the tests use the same broker, cluster, ports and names; the tests run the demo, too, under their own lock.
hold_demo_and_test_lock() {
  [[ -z ${COHO_LOCK_HOLDER:-} || ! -d /proc/$COHO_LOCK_HOLDER ]] || return 0
  local file=$COHO_RUN_DIR/demo-and-test.lock
  exec 8<>"$file"
  if ! flock --nonblock 8; then
    echo "waiting for hack/$(cat "$file") to finish"
    flock 8
  fi
  printf '%s (pid %d)\n' "${0##*/}" $$ >"$file"
  export COHO_LOCK_HOLDER=$$
}

# --- processes that outlive the script ---------------------------------------------------------------------------------
# A pid alone is not a name: it may have been given to somebody else since. So the pid file also keeps the process's start
# time, and nothing is ever signalled whose start time differs.

_start_time_of() {
  # The second field (command) may contain spaces and brackets: cut everything up to its last bracket.
  local stat
  stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
  stat=${stat##*) }
  # shellcheck disable=SC2086 # the fields, each a word
  set -- $stat
  [[ $1 == Z ]] && return 1 # a zombie no longer runs
  printf '%s' "${20}"
}

start_process() {
  local pid_file=$1 log=$2
  shift 2
  setsid "$@" >>"$log" 2>&1 </dev/null 8>&- 9>&- &
  record_process "$pid_file" $!
  disown $!
}

record_process() {
  printf '%s %s\n' "$2" "$(_start_time_of "$2")" >"$1"
}

pid_of() {
  local pid _
  read -r pid _ <"$1"
  printf '%s' "$pid"
}

# The first child of a recorded process: what `nsenter` or `unshare` has started and waits for.
child_of() {
  local pid children
  pid=$(pid_of "$1")
  children=$(cat "/proc/$pid/task/$pid/children")
  printf '%s' "${children%% *}"
}

process_runs() {
  local pid started
  [[ -e $1 ]] && read -r pid started <"$1" || return 1
  [[ -n $pid && -n $started && $(_start_time_of "$pid") == "$started" ]]
}

is_gone() { ! process_runs "$1"; }

# With its process group, of which start_process made it the leader.
stop_process() {
  local pid_file=$1 seconds=${2:-10} signal=${3:-TERM}
  if process_runs "$pid_file"; then
    _signal "$signal" "$(pid_of "$pid_file")"
    if ! wait_until "$seconds" "the process of $pid_file ends after SIG$signal" is_gone "$pid_file"; then
      _signal KILL "$(pid_of "$pid_file")"
      wait_until 10 "the process of $pid_file ends after SIGKILL" is_gone "$pid_file"
    fi
  fi
  rm -f -- "$pid_file"
}

_signal() { kill "-$1" -- "-$2" 2>/dev/null || kill "-$1" "$2" 2>/dev/null || true; }
