#!/usr/bin/env bash
# Installs what is missing, builds, and runs every test: unit (ctest), lit, and
# pytest. Ends with 'N passed, N failed, N skipped' over all of them; the
# reasons of the skipped ones stand before it. Exits non-zero on a failure.
#
#   scripts/test.sh [unit|lit|python]...      some of them; default all
#
# LIMOSA_TEST_TIER=small leaves the big models out (minutes instead of half an hour).
set -euo pipefail
LIMOSA_SETUP=test "$(dirname "$0")/build.sh" release
source "$(dirname "$0")/common.sh"
export LC_ALL=C.UTF-8

suites=("$@")
[ ${#suites[@]} -gt 0 ] || suites=(unit lit python)
results=build/test-results
rm -rf "$results"
mkdir -p "$results"

run_suite() {
  case $1 in
  unit) ctest --test-dir build -j2 --output-on-failure --progress --timeout 600 \
    --output-junit "$LIMOSA_ROOT/$results/unit.xml" ;;
  lit) "$VENV/bin/python" -c 'from lit.main import main; main()' build/test/lit -s -v \
    --xunit-xml-output "$results/lit.xml" ;;
  python) "$VENV/bin/python" -m pytest test/python -q --no-header -rs \
    --junitxml "$results/python.xml" ;;
  *) fail "no suite called $1; there are unit, lit and python" ;;
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
