# shellcheck shell=bash
# Images for the nodes of hack/cluster, which know no registry.
# shellcheck source-path=SCRIPTDIR source=names.sh
source "$(dirname "${BASH_SOURCE[0]}")/names.sh"

load() {
  local file=$1 image=$2 node pid background=()
  is_up || die "the cluster is not up"
  [[ -r $file ]] || die "cannot read $file"
  for node in "${nodes[@]}"; do
    load_into "$node" "$file" "$(full_image_name "$image")" &
    background+=($!)
  done
  for pid in "${background[@]}"; do wait "$pid" || die "$image is not in every node"; done
}

# As Kubernetes completes it: no registry means Docker's, no tag means latest.
full_image_name() {
  local name=$1
  [[ ${name##*/} == *[:@]* ]] || name+=:latest
  if [[ $name != */* ]]; then
    name=docker.io/library/$name
  else
    local registry=${name%%/*}
    [[ $registry == *[.:]* || $registry == localhost ]] || name=docker.io/$name
  fi
  echo "$name"
}

load_into() {
  local node=$1 file=$2 image=$3 socket output found
  socket=$(node_dir "$node")/containerd.sock
  # Loading is the slow part of trying out a change; the same file need not be loaded twice.
  local stamp stamp_file
  stamp_file=$(node_dir "$node")/loaded-$(printf '%s' "$image" | tr -c 'A-Za-z0-9._-' '_')
  stamp=$(stat -L -c '%d %i %s %Y %Z' "$file")
  if [[ -e $stamp_file && "$stamp $(image_digest "$socket" "$image")" == "$(cat "$stamp_file")" ]]; then
    echo "$node has $image"
    return
  fi
  output=$(ctr -a "$socket" -n k8s.io images import "$file" 2>&1) || { echo "$node: $output" >&2; return 1; }
  if [[ -z $(image_digest "$socket" "$image") ]]; then
    # Saved under another name (buildah says localhost/NAME): give it the one that was asked for.
    found=$(sed -n 's/^unpacking \([^ ]*\) .*/\1/p' <<<"$output" | tail -n 1)
    [[ -n $found ]] || { echo "$node: no image in $file: $output" >&2; return 1; }
    ctr -a "$socket" -n k8s.io images tag --force "$found" "$image" >/dev/null
  fi
  echo "$stamp $(image_digest "$socket" "$image")" >"$stamp_file"
  echo "$node got $image"
}

image_digest() {
  ctr -a "$1" -n k8s.io images ls "name==$2" 2>/dev/null | awk 'NR == 2 {print $3}'
}
