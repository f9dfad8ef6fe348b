#!/usr/bin/env bash
# Builds Limosa: build/bin/limosa, and .venv in which `import limosa` works.
#
#   scripts/build.sh [preset] [ninja arguments...]      preset: release (default), asan
set -euo pipefail
"$(dirname "$0")/setup.sh" "${LIMOSA_SETUP:-build}"
source "$(dirname "$0")/common.sh"

preset=release
if [ $# -gt 0 ] && [[ $1 != -* ]]; then
  preset=$1
  shift
fi
folder=build
[ "$preset" = release ] || folder=build-$preset

step "Configure ($preset)"
# A folder that was configured by hand may know another Python, or none.
if [ ! -f "$folder/build.ninja" ] ||
  ! grep -q "^Python_EXECUTABLE.*=$VENV/bin/python\$" "$folder/CMakeCache.txt"; then
  run_logged "configure-$preset.log" cmake --preset "$preset" \
    -DPython_EXECUTABLE="$VENV/bin/python"
else
  note "$folder/build.ninja is there"
fi

step "Build"
start=$SECONDS
NINJA_STATUS='    [%f/%t] ' ninja -C "$folder" "$@"
note "done in $((SECONDS - start)) s"

step "import limosa in .venv"
packages=$("$VENV/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
if [ "$preset" = release ]; then
  printf '%s\n' "$LIMOSA_ROOT/build/python" >"$packages/limosa-build.pth"
  "$VENV/bin/python" -c 'import limosa; print("    limosa", limosa.__version__)'
fi
