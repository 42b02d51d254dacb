# Shared by the scripts: where things are, how they speak. Sourced, not run.
# shellcheck shell=bash

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/sampan
begun=$SECONDS
me=$(basename "$0")

# On a machine that tests fresh clones the compiled dependencies are worth keeping between them.
if [ -z "${CARGO_TARGET_DIR:-}" ] && [ "${CI:-}" = true ]; then
  export CARGO_TARGET_DIR=$cache/target
  # What the compiler keeps of crates as they were is tens of gigabytes after a few changes, and of little use to the next clone.
  export CARGO_INCREMENTAL=0
fi
target=${CARGO_TARGET_DIR:-$root/target}

say() { printf '%s [%4d s] %s\n' "$me" $((SECONDS - begun)) "$*" >&2; }
fail() { printf '%s: %s\n' "$me" "$*" >&2; exit 1; }

# log_of LABEL: the file for what a part of the work prints.
log_of() {
  local name
  mkdir -p "$cache/logs"
  name=$(printf '%s' "$1" | tr -c 'A-Za-z0-9' '-')
  # A file's name has 255 bytes at most, and a label may list packages.
  [ ${#name} -le 80 ] || name=${name:0:60}-$(printf '%s' "$1" | cksum | cut -d ' ' -f 1)
  printf '%s\n' "$cache/logs/$name.log"
}

# Where the time went: seconds, how busy the processors were in them, and what they were for, a line each.
spent=()

# now: the seconds of this script so far, and the ticks that the machine's processors have worked and waited since it started.
now() {
  local user nice system idle iowait irq softirq steal
  # shellcheck disable=SC2034
  read -r _ user nice system idle iowait irq softirq steal _ </proc/stat
  printf '%s %s %s\n' $SECONDS $((user + nice + system + irq + softirq + steal)) $((idle + iowait))
}

# spend LABEL SINCE [TILL]: notes what the time between these, as `now` told them, went to.
spend() {
  local since=($2) till
  read -ra till <<<"${3:-$(now)}"
  local busy=$((till[1] - since[1])) idle=$((till[2] - since[2]))
  spent+=("$(printf '%5d s %3d %%  %s' $((till[0] - since[0])) $((100 * busy / (busy + idle + 1))) "$1")")
}

# timed LABEL COMMAND…: runs it and notes how long it took, also where it fails.
timed() {
  local label=$1 since rc=0
  since=$(now)
  shift
  "$@" || rc=$?
  spend "$label" "$since"
  return $rc
}

# tell_time: the longest parts, the longest first, and all of it.
tell_time() {
  say "where the time went, and how busy the processors were"
  {
    printf '%s\n' "${spent[@]}" | sort -rn | head -n 14
    printf '%5d s        all of it\n' $((SECONDS - begun))
  } | tee "$(log_of "where the time went")"
}

# quietly LABEL COMMAND…: runs it with its output in a log, whose end is shown if it fails.
quietly() {
  local label=$1 log
  shift
  log=$(log_of "$label")
  say "$label"
  if ! timed "$label" "$@" >"$log" 2>&1; then
    tail -n 40 "$log" >&2
    fail "failed: $label (all of its output: $log)"
  fi
}

# attempt LABEL COMMAND…: like quietly, but a failure is for the caller to deal with.
attempt() {
  local label=$1 log
  shift
  log=$(log_of "$label")
  say "$label"
  "$@" >"$log" 2>&1
}

# tool NAME VERSION: a cargo program of that version, built into the cache unless it is there. Where that version is not to be
# had, the newest is taken, or whichever the cache has.
tool() {
  local name=$1 version=$2 dir=$cache/tools/$1-$2 label other
  if ! [ -x "$dir/bin/$name" ]; then
    label="building $name $version (once, some minutes)"
    if ! attempt "$label" install_tool "$name" "$dir" --version "$version"; then
      other=$(find "$cache/tools" -path "*/$name-*/bin/$name" -perm -u+x 2>/dev/null | sort -V | tail -n 1) || true
      dir=$cache/tools/$name-newest
      if [ -n "$other" ]; then
        say "$name $version is not to be had: using $other"
        printf '%s\n' "$other"
        return
      elif attempt "building the newest $name instead" install_tool "$name" "$dir"; then
        say "$name $version, which was tried, is not to be had: taking $("$dir/bin/$name" --version 2>/dev/null | head -n 1)"
      else
        tail -n 40 "$(log_of "$label")" >&2
        fail "$name $version cannot be installed (all of its output: $(log_of "$label")): check the network and cargo's" \
          "configuration and run this again, or put a $name on the PATH"
      fi
    fi
  fi
  printf '%s\n' "$dir/bin/$name"
}

# install_tool NAME FOLDER ARGUMENT…: cargo's installation of a program into a folder of its own.
install_tool() {
  local name=$1 dir=$2 rc=0
  shift 2
  # It runs for seconds: what optimising it takes would never come back.
  env CARGO_TARGET_DIR="$cache/tools/build" CARGO_PROFILE_RELEASE_OPT_LEVEL=1 CARGO_PROFILE_RELEASE_LTO=off \
    CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 CARGO_PROFILE_RELEASE_DEBUG=false \
    cargo install "$name" --locked --root "$dir" "$@" || rc=$?
  rm -rf "$cache/tools/build"
  return $rc
}
