# Shared by the scripts of this folder: where things are and how progress is told.
# Sourced, never run.

LIMOSA_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
LIMOSA_DEV_CACHE=${LIMOSA_DEV_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/limosa-dev}
LIMOSA_LOGS=$LIMOSA_ROOT/build/logs
VENV=$LIMOSA_ROOT/.venv
cd "$LIMOSA_ROOT" || exit 1
mkdir -p "$LIMOSA_LOGS" "$LIMOSA_DEV_CACHE"

# ccache stays outside the clone, so that a second clone builds in a minute.
export CCACHE_DIR=${CCACHE_DIR:-$LIMOSA_DEV_CACHE/ccache}
export CCACHE_BASEDIR=$LIMOSA_ROOT CCACHE_NOHASHDIR=1
export CCACHE_SLOPPINESS=pch_defines,time_macros

step() { printf '==> %s\n' "$*"; }
note() { printf '    %s\n' "$*"; }
fail() { printf 'error: %s\n' "$*" >&2; exit 1; }

# run_logged LOG COMMAND...: keeps the output in build/logs/LOG, shows a moving
# line on a terminal, and shows the end of the log when the command fails.
run_logged() {
  local log=$LIMOSA_LOGS/$1 start=$SECONDS pid code
  shift
  "$@" >"$log" 2>&1 </dev/null &
  pid=$!
  if [ -t 1 ]; then
    while kill -0 "$pid" 2>/dev/null; do
      printf '\r\033[K    %ds  %.70s' $((SECONDS - start)) "$(tail -n 1 "$log" | tr -d '\r\033')"
      sleep 1
    done
    printf '\r\033[K'
  fi
  wait "$pid" && code=0 || code=$?
  if [ "$code" -ne 0 ]; then
    tail -n 40 "$log" >&2
    fail "this failed (exit $code): $* (whole log: $log)"
  fi
  note "done in $((SECONDS - start)) s"
}
