#!/usr/bin/env bash
# Builds Limosa, installs the other engines, and measures them all over the suite:
# results and a page in bench/results/<machine>/. docs/benchmarks.md has the details.
#
#   bench/run.sh [run] [--quick] [--only REGEX] [--threads 2,1] [--time MINUTES] ...
#   bench/run.sh list | export | page        see bench/run.sh run --help
#
# LIMOSA_BENCH_VENV names the Python environment to use instead of the one in the cache;
# LIMOSA_BENCH_BUILD=no takes the build that is there.
set -euo pipefail
case ${1:-} in run | list | export | page) ;; *) set -- run "$@" ;; esac
build=${LIMOSA_BENCH_BUILD:-yes}
# Only runs use engines.
[[ $1 == run && " $* " != *" --help "* && " $* " != *" -h "* ]] || build=no
if [ "$build" != no ]; then
  "$(dirname "$0")/../scripts/build.sh" release limosa-command limosa_python LimosaCompiler
fi
source "$(dirname "$0")/../scripts/common.sh"

# It has torch with torchvision (6 GB), so it is the tests' environment for timm
# with the other engines added.
venv=${LIMOSA_BENCH_VENV:-$LIMOSA_DEV_CACHE/venv-timm}
step "Python packages in $venv"
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
stamp=$venv/.limosa-bench
if cmp -s bench/requirements.txt "$stamp"; then
  note "nothing to do"
else
  run_logged pip-bench.log "$venv/bin/python" -m pip install --disable-pip-version-check \
    --progress-bar off -r bench/requirements.txt
  cp bench/requirements.txt "$stamp"
  touch "$venv/.limosa-ready" # what test/python/models/timm_env.py looks for
fi

step "Benchmarks: $*"
PYTHONPATH=bench exec "$venv/bin/python" -m suite "$@"
