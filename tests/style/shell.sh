#!/usr/bin/env bash
# Every bash script of the tree, whatever its name, as shellcheck wants it.
# SC2317, unreachable commands: functions that traps and steps run count as such.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
scripts=()
while IFS= read -r file; do
  [[ -f $file ]] || continue
  first=''
  IFS= read -r first <"$file" || true
  [[ $first =~ ^#!.*(bash|/sh) || $first == '# shellcheck shell=bash'* ]] && scripts+=("$file")
done < <(git grep -lI -e '^#!' -e '^# shellcheck shell' -- . ':!*.md')
printf '%s\n' "${scripts[@]}" | xargs -P "$(nproc)" -n 4 \
  shellcheck --external-sources --source-path=SCRIPTDIR --exclude=SC2317
echo "${#scripts[@]} scripts"
