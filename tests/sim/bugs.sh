#!/usr/bin/env bash
#
# Plants each bug of tests/sim/bugs in a copy of the tree, and lets the simulator find it: tests/sim/bugs.sh [NAME...]
#
# The first line of a patch says what the bug is, the second within how many schedules it must be found. A patch that
# does not apply or build fails, as does one that is not found. So that what is found is the bug, nothing may be found
# without one. Prints TAP.

set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
bugs=$root/tests/sim/bugs
tree=$root/build/bugs
jobs=${JOBS:-$(nproc)}
number=0
failed=0
schedules_without=300

# Only what differs is copied, so that only that is built again.
copy_tree() {
    local file
    cd "$root"
    while read -r file; do
        cmp -s "$file" "$tree/$file" && continue
        mkdir -p "$tree/$(dirname "$file")"
        cp "$file" "$tree/$file"
    done < <(git ls-files && find build-aux -type f && printf '%s\n' aclocal.m4 Makefile.in configure)
    mkdir -p "$tree/build"
    cd "$tree/build"
    [ -e Makefile ] || ../configure -q
    make -s -j"$jobs" tests/sim/sim
}

# try PATCH: 0 if the bug is found within its schedules.
try() {
    local patch=$1 within
    within=$(sed -nE '2s/^Found within ([0-9]+) schedules\.$/\1/p' "$patch")
    [ -n "$within" ] || { echo "$patch: the second line must be 'Found within N schedules.'" && return 1; }
    patch -d "$tree" -p1 --fuzz=0 --no-backup-if-mismatch <"$patch" || return 1
    make -s -j"$jobs" tests/sim/sim || return 1
    ! tests/sim/sim --schedules "$within" --jobs "$jobs" --first
}

# say NAME OK WHAT LOG
say() {
    number=$((number + 1))
    if [ "$2" = 0 ]; then
        echo "ok $number - $1: $3"
        return
    fi
    failed=$((failed + 1))
    echo "not ok $number - $1: $3"
    sed 's/^/# /' "$4"
}

# report PATCH
report() {
    local log=$tree/log status=0
    (try "$1") >"$log" 2>&1 || status=1
    say "$(basename "$1" .patch)" "$status" "$(grep -am1 '^seed [0-9]' "$log" || echo 'not found')" "$log"
    patch -d "$tree" -p1 -R -s -f <"$1" >"$log" 2>&1 || copy_tree
}

report_without() {
    local log=$tree/log status=0
    tests/sim/sim --schedules "$schedules_without" --jobs "$jobs" --first >"$log" 2>&1 || status=1
    say nothing-planted "$status" "$(tail -1 "$log")" "$log"
}

copy_tree >"$root/build/bugs.log" 2>&1 || { cat "$root/build/bugs.log" && exit 1; }
cd "$tree/build"
[ $# -gt 0 ] || mapfile -t names < <(cd "$bugs" && printf '%s\n' *.patch)
report_without
for name in "${names[@]:-$@}"; do
    report "$bugs/${name%.patch}.patch"
done
echo "1..$number"
exit "$((failed > 0))"
