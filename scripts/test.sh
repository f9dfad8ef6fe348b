#!/usr/bin/env bash
# Installs what is missing, builds, and runs every test: unit (ctest), lit, and
# pytest, and what needs no LLVM once more with AddressSanitizer and
# UndefinedBehaviorSanitizer. Ends with 'N passed, N failed, N skipped' over all
# of them; the reasons of the skipped ones stand before it. Exits non-zero on a
# failure.
#
#   scripts/test.sh [unit|lit|python|sanitize]...   some of them; default all
#   scripts/test.sh sanitize-all sanitize-lit       the compiler's tests, and random
#                   graphs, with sanitizers: half an hour more to build on two cores
#
# LIMOSA_TEST_TIER=small leaves the big models out (minutes instead of half an hour).
set -euo pipefail
LIMOSA_SETUP=test "$(dirname "$0")/build.sh" release
source "$(dirname "$0")/common.sh"
export LC_ALL=C.UTF-8

suites=("$@")
[ ${#suites[@]} -gt 0 ] || suites=(unit lit python sanitize)
results=build/test-results
rm -rf "$results"
mkdir -p "$results"

# LLVM's allocators mark memory by hand in inlined code; its libraries, which are
# not instrumented, don't. Leaks are looked for where no LLVM is.
use_sanitizers() { # leaks: 0 or 1
  export ASAN_OPTIONS=allow_user_poisoning=0:detect_odr_violation=0:detect_leaks=$1
  export UBSAN_OPTIONS=print_stacktrace=1
  export ASAN_SYMBOLIZER_PATH=/usr/lib/llvm-22/bin/llvm-symbolizer
}

run_ctest() { # build folder, name of the result
  ctest --test-dir "$1" -j2 --output-on-failure --progress --timeout 1200 \
    --output-junit "$LIMOSA_ROOT/$results/$2.xml"
}

run_lit() { # build folder, name of the result
  "$VENV/bin/python" -c 'from lit.main import main; main()' "$1/test/lit" -s -v \
    --xunit-xml-output "$results/$2.xml"
}

run_suite() {
  case $1 in
  unit) run_ctest build unit ;;
  lit) run_lit build lit ;;
  sanitize)
    LIMOSA_SETUP=test scripts/build.sh asan-runtime
    (use_sanitizers 1 && run_ctest build-asan-runtime sanitize)
    ;;
  sanitize-all)
    LIMOSA_SETUP=test scripts/build.sh asan
    (use_sanitizers 0 && run_ctest build-asan sanitize-all)
    ;;
  sanitize-lit)
    LIMOSA_SETUP=test scripts/build.sh asan
    (use_sanitizers 0 && run_lit build-asan sanitize-lit)
    ;;
  python) "$VENV/bin/python" -m pytest test/python -q --no-header -rs \
    --junitxml "$results/python.xml" ;;
  *) fail "no suite called $1; scripts/test.sh begins with a list of them" ;;
  esac
}

for suite in "${suites[@]}"; do
  step "Tests: $suite"
  start=$SECONDS
  run_suite "$suite" </dev/null || note "exit code $?"
  note "done in $((SECONDS - start)) s"
done
step "Results"
exec "$VENV/bin/python" scripts/summarise_tests.py "$results" "${suites[@]}"
