# shellcheck shell=bash
#
# lib - what the scripts share: Debian's packages, the build, the counting of tests. Sourced, never run.
#
# Each step says what it does when there is something to do, and nothing when there is not.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
jobs=${JOBS:-$(nproc)}
logs=$root/build/logs
mkdir -p "$logs"

# The one list of what is needed from Debian, by what needs it.
declare -A packages=(
    [build]="autoconf automake pkg-config gcc libc6-dev make libevent-dev libsqlite3-dev libnghttp2-dev libcjson-dev
        libjemalloc-dev libssl-dev"
    [test]="libcmocka-dev libmsgpack-dev chromium"
    [check]="clang clang-format clang-tidy cppcheck libclang-rt-14-dev shellcheck"
    [fresh]="mmdebstrap"
)
node_major_min=18

step() {
    printf '* %s\n' "$*"
}

die() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}

# quietly NAME COMMAND...: run it with its output in a log, which is shown if it fails.
quietly() {
    local log=$logs/$1.log
    shift
    "$@" >"$log" 2>&1 </dev/null && return
    cat "$log" >&2
    die "failed: $*"
}

#
# Install
#

# install_for PURPOSE...: what is missing of the packages for these purposes.
install_for() {
    local wanted=() purpose
    for purpose in "$@"; do
        read -rd '' -a wanted <<<"${wanted[*]} ${packages[$purpose]}" || true
    done
    install_packages "${wanted[@]}"
}

install_packages() {
    local missing as_root=()
    mapfile -t missing < <(missing_packages "$@")
    [ ${#missing[@]} -gt 0 ] || return 0
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null || die "installing needs root; as root: apt-get install ${missing[*]}"
        as_root=(sudo)
    fi
    step "installing ${missing[*]}"
    quietly apt "${as_root[@]}" apt-get update
    quietly apt "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y --no-install-recommends -o DPkg::Lock::Timeout=600 "${missing[@]}"
    # What is there now, configure has not seen yet.
    rm -f build*/configured-with
}

missing_packages() {
    comm -13 <(dpkg-query -W -f '${db:Status-Status} ${Package}\n' 2>/dev/null | sed -n 's/^installed //p' | sort -u) \
        <(printf '%s\n' "$@" | sort -u)
}

# A Node.js that is there already is left alone: Debian's would conflict with one from elsewhere.
install_node() {
    local major
    command -v node >/dev/null || install_packages nodejs npm
    command -v npm >/dev/null || install_packages npm
    major=$(node -p 'process.versions.node.split(".")[0]')
    [ "$major" -ge "$node_major_min" ] || die "$(command -v node) is version $major; $node_major_min or newer is needed"
}

#
# Build
#

# build DIR [CONFIGURE ARGUMENT...]: bring the build in DIR up to date. Once configured, make keeps its Makefile so too.
build() {
    configure "$@"
    quietly "makefile-$1" make -C "$1" Makefile
    make -s -C "$1" -j"$jobs"
}

configure() {
    local dir=$1
    shift
    if [ ! -x configure ]; then
        step "generating configure"
        quietly autoreconf autoreconf --install
    fi
    [ -e "$dir/Makefile" ] && cmp -s "$dir/configured-with" <(printf '%s\n' "$*") && return
    step "configuring $dir${*:+ with $*}"
    mkdir -p "$dir"
    (cd "$dir" && quietly "configure-$dir" "$root/configure" "$@")
    printf '%s\n' "$*" >"$dir/configured-with"
}

# npm_install DIR: what its package-lock.json names.
npm_install() {
    [ "$1/node_modules/.package-lock.json" -nt "$1/package-lock.json" ] && return
    step "installing the packages of $1"
    quietly npm-ci npm ci --no-audit --no-fund --prefix "$1"
}

# npm_build DIR [INPUT...]: run its build, unless nothing in DIR or INPUT is newer than the last one.
npm_build() {
    local built=$1/node_modules/.built
    [ -e "$built" ] &&
        [ -z "$(find "$@" \( -name node_modules -o -name dist -o -name test \) -prune -o -newer "$built" -print -quit)" ] &&
        return
    step "building $1"
    quietly npm-build npm run build --prefix "$1"
    touch "$built"
}

build_everything() {
    install_node
    build build
    build_clients
    build_chat
}

build_tests() {
    npm_install tests
    npm_install tests/browser
    make -s -C build -j"$jobs" check-programs
}

build_clients() {
    npm_install clients
    npm_build clients
}

build_chat() {
    npm_install examples/chat
    npm_build examples/chat clients/skerry/src
}

#
# Test: each suite, with the build that it is about
#

# What failed is shown indented, so that its summary is not counted again.
unit_tests() {
    make -C "$1" -j"$jobs" check || { sed 's/^/  /' "$1/test-suite.log" && false; }
}

stories() {
    SKERRY_BIN=$root/$1/skerry build/tests/scenario/player tests/scenario/*.story
}

client_tests() {
    npm_tests clients test
}

client_server_tests() {
    SKERRY_BIN=$root/$1/skerry npm_tests clients test:server
}

contract() {
    SKERRY_BIN=$root/$1/skerry npm_tests tests contract
}

server_tests() {
    SKERRY_BIN=$root/$1/skerry npm_tests tests server
}

browser_tests() {
    SKERRY_BIN=$root/$1/skerry npm_tests tests/browser test
}

bench_tests() {
    make -s -C "$1" -j"$jobs" bench-check
}

# simulated BUILD OPTION...: fails if a schedule does.
simulated() {
    "$1/tests/sim/sim" --jobs "$jobs" "${@:2}"
}

# resumes BUILD ROUNDS: sockets cut in the middle of resumes and resets.
resumes() {
    SKERRY_BIN=$root/$1/skerry node tests/fanout/resume.mjs --rounds "$2"
}

npm_tests() {
    NODE_OPTIONS=--test-reporter=tap npm run "$2" --prefix "$1"
}

all_suites() {
    suite unit unit_tests build
    suite stories stories build
    suite client client_tests
    suite client-server client_server_tests build
    suite contract contract build
    suite server server_tests build
    suite browser browser_tests build
    suite bench bench_tests build
    check sim simulated build --schedules 300
    check resumes resumes build 30
}

#
# Count
#

passed=0
failed=0

# suite NAME COMMAND...: run a suite of tests. It passes if it succeeds, ran something, and nothing failed or was skipped.
suite() {
    local name=$1 log=$logs/$1.log status start=$SECONDS total good bad
    shift
    run_logged "$log" "$@"
    read -r total good < <(count_tests "$log")
    bad=$((total - good))
    if [ "$bad" -eq 0 ] && { [ "$status" -ne 0 ] || [ "$total" -eq 0 ]; }; then
        bad=1
    fi
    report "$name" "$good" "$bad" "$start" "$log"
}

# check NAME COMMAND...: one check, which passes if it succeeds.
check() {
    local name=$1 log=$logs/$1.log status start=$SECONDS
    shift
    run_logged "$log" "$@"
    report "$name" $((status == 0)) $((status != 0)) "$start" "$log"
}

# Not `COMMAND || status=$?`: that would switch off errexit inside of COMMAND.
run_logged() {
    local log=$1
    shift
    set +e
    (
        set -e
        "$@"
    ) >"$log" 2>&1 </dev/null
    status=$?
    set -e
    [ "$status" -eq 0 ] || echo "exit status $status" >>"$log"
}

# All tests of a log, and those that passed: the sum of the summaries of automake and of Node's test runner, or else the
# results in it, which are TAP. A skipped test has not passed.
count_tests() {
    awk '/^# (TOTAL|tests):? / { total += $3 }
         /^# (PASS|pass):? / { good += $3 }
         /^(not )?ok / { results++ }
         /^ok / && !/# (SKIP|TODO)/ { held++ }
         END { if (total) print total, good + 0; else print results + 0, held + 0 }' "$1"
}

# report NAME PASSED FAILED START LOG
report() {
    printf '%-24s %5d passed, %d failed  (%d s)\n' "$1" "$2" "$3" $((SECONDS - $4))
    passed=$((passed + $2))
    failed=$((failed + $3))
    [ "$3" -eq 0 ] && return
    show_failures "$5" | sed 's/^/    /'
    printf '    all of it: %s\n' "$5"
}

# The tests that failed with what follows them, or else the end of the log.
show_failures() {
    grep -avE '^ *(ok |PASS: )' "$1" | grep -aE -A20 '^ *not ok |^ *(FAIL|ERROR|XPASS): | error: ' | head -150 | grep . ||
        tail -40 "$1"
}

# The last line, and the exit code.
summary() {
    printf '%d passed, %d failed\n' "$passed" "$failed"
    [ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
}
