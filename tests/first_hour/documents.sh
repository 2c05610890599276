#!/usr/bin/env bash
# What the documents show is true: C++ compiles against an installed SDK (a program, with the CMake text that follows it, is built as
# its reader would, and run if it is a test), job files are accepted, shell parses, links lead somewhere.
#   documents.sh BUILD_DIR
set -euo pipefail
# shellcheck source=../../hack/lib/steps.sh
source "$(dirname "${BASH_SOURCE[0]}")/../../hack/lib/steps.sh"
# shellcheck source=lib.sh
source "$COHO_ROOT/tests/first_hour/lib.sh"
build_dir=$1
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
fail() { printf 'FAIL: %s\n' "$*" >&2; exit 1; }

readme_job_is_the_example "$dir/readme" || fail "README.md"

# Every C++ block, in order, and what it becomes: a program with the CMake block behind it, else an object of $dir/fragments.
mkdir -p "$dir/fragments" "$dir/jobs"
programs=() fragments=0 jobs=0
sources=''
for document in "$COHO_ROOT"/README.md "$COHO_ROOT"/docs/*.md; do
  name=$(basename "$document" .md)
  blocks "$document" "$dir/$name"
  sources=''
  for block in "$dir/$name"/*; do
    case $block in
      *.cpp)
        sources=$block
        { grep -q '#include <coho/coho.h>' "$block" || echo '#include <coho/coho.h>'; cat "$block"; } \
          >"$dir/fragments/$name-$(basename "$block" .cpp).cc"
        fragments=$((fragments + 1))
        ;;
      *.cmake)
        source=$(sed -n 's/^add_executable([^ ]* \([^ ]*\.cc\))$/\1/p' "$block")
        [[ -n $source && -n $sources ]] || fail "$name: a CMake block without add_executable(NAME SOURCE.cc) or without C++ before it"
        mkdir -p "$dir/programs/$name"
        cp "$sources" "$dir/programs/$name/$source"
        cp "$block" "$dir/programs/$name/CMakeLists.txt"
        programs+=("$name")
        ;;
      *.yaml) ! grep -q '^kind: StreamJob' "$block" || { cp "$block" "$dir/jobs/$name-$(basename "$block")"; jobs=$((jobs + 1)); } ;;
      *.sh) bash -n "$block" || fail "$name: shell that does not parse" ;;
    esac
  done
  while read -r target; do
    [[ -e $(dirname "$document")/${target%%#*} ]] || fail "$name: there is no $target"
  done < <(grep -oE '\]\([^)#:]+[^):]*\)' "$document" | sed 's/^](\(.*\))$/\1/')
done
((fragments >= 3 && ${#programs[@]} >= 2 && jobs >= 1)) || fail "found $fragments blocks of C++, ${#programs[@]} programs, $jobs jobs"

step "install the SDK" cmake --install "$build_dir" --component sdk --prefix "$dir/sdk"
configure=(-G Ninja -DCMAKE_BUILD_TYPE=Release "-DCMAKE_PREFIX_PATH=$dir/sdk")
for name in "${programs[@]}"; do
  step "$name: configure" cmake -S "$dir/programs/$name" -B "$dir/programs/$name/build" "${configure[@]}"
  step "$name: build" cmake --build "$dir/programs/$name/build"
  for program in "$dir/programs/$name"/build/*-test; do
    [[ ! -x $program ]] || step "$name: run ${program##*/}" "$program"
  done
done

cat >"$dir/fragments/check_jobs.cpp" <<'END'
#include <coho/coho.h>

#include <coho/worker/sdk/test_driver.h>
#include <cstdio>
#include <fstream>
#include <sstream>

int main(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    std::ostringstream text;
    text << std::ifstream(argv[i]).rdbuf();
    if (const auto job = coho::ParseJobYaml(text.str()); !job.ok()) {
      std::printf("%s: %s\n", argv[i], job.status().ToString().c_str());
      return 1;
    }
  }
}
END
cat >"$dir/fragments/CMakeLists.txt" <<'END'
cmake_minimum_required(VERSION 3.25)
project(Fragments CXX)
find_package(Coho REQUIRED)
file(GLOB fragments *.cc)
add_library(fragments OBJECT ${fragments})
target_link_libraries(fragments PRIVATE Coho::worker)
add_executable(check_jobs check_jobs.cpp)
target_link_libraries(check_jobs PRIVATE Coho::worker)
END
step "fragments: configure" cmake -S "$dir/fragments" -B "$dir/fragments/build" "${configure[@]}"
step "fragments: build" cmake --build "$dir/fragments/build"
step "job files" "$dir/fragments/build/check_jobs" "$dir"/jobs/*
echo "$fragments blocks of C++, ${#programs[@]} programs, $jobs jobs"
