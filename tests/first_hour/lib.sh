# shellcheck shell=bash
# What the documents say, as files: their fenced blocks. Sourced by the tests of this folder and by tests/cluster/09_readme_job.sh.

# blocks DOCUMENT DIRECTORY: every fenced block as DIRECTORY/<number, two digits>.<language>, without the indentation of its fence.
blocks() {
  mkdir -p "$2"
  awk -v directory="$2" '
    match($0, /^ *```/) {
      if (file != "") { close(file); file = ""; next }
      language = substr($0, RLENGTH + 1); indent = RLENGTH - 3
      file = sprintf("%s/%02d.%s", directory, ++number, language == "" ? "text" : language)
      printf "" >file
      next
    }
    file != "" { print substr($0, match($0, /[^ ]/) > indent ? indent + 1 : (NF ? RSTART : indent + 1)) >file }' "$1"
}

# The job of README.md, "Your own job", is examples/words to the letter: what runs one, runs the other.
readme_job_is_the_example() {
  local directory=$1 language name
  blocks "$COHO_ROOT/README.md" "$directory"
  while read -r language name; do
    diff -u "$directory"/*."$language" "$COHO_ROOT/examples/words/$name" || {
      echo "README.md and examples/words/$name differ"
      return 1
    }
  done <<'END'
cpp count_words.cc
cmake CMakeLists.txt
dockerfile Dockerfile
yaml words.yaml
END
}
