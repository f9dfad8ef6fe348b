#!/usr/bin/env bash
# Installs what building (setup.sh build, the default) or testing (setup.sh
# test) needs and this machine lacks: Debian packages as root or by sudo, and
# Python packages in .venv. Quick when there is nothing to install.
#
# LIMOSA_VENV_DIR=DIR keeps the environment in DIR and makes .venv a link to it.
set -euo pipefail
source "$(dirname "$0")/common.sh"

want=${1:-build}
case $want in build | test) ;; *) fail "usage: scripts/setup.sh [build|test]" ;; esac

PACKAGES=(
  clang-22 lld-22 llvm-22-dev llvm-22-tools libmlir-22-dev mlir-22-tools libclang-rt-22-dev
  cmake ninja-build ccache pkg-config git file
  libprotobuf-dev protobuf-compiler libflatbuffers-dev flatbuffers-compiler
  libre2-dev libjpeg62-turbo-dev libpng-dev libtiff-dev libwebp-dev libopenjp2-7-dev
  nlohmann-json3-dev libcli11-dev libfmt-dev libxxhash-dev zlib1g-dev libzstd-dev
  libgtest-dev libgmock-dev libbenchmark-dev valgrind
  python3 python3-dev python3-venv
  libgl1 libglib2.0-0 # what the OCR package's OpenCV loads
)

install_packages() {
  local missing=() sudo=() package
  for package in "${PACKAGES[@]}"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' ||
      missing+=("$package")
  done
  if [ ${#missing[@]} -eq 0 ]; then
    note "all ${#PACKAGES[@]} are there"
    return
  fi
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null ||
      fail "run this as root, or install sudo; missing packages: ${missing[*]}"
    sudo=(sudo)
  fi
  note "installing ${missing[*]}"
  run_logged apt-update.log "${sudo[@]}" apt-get update
  run_logged apt-install.log "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y --no-install-recommends "${missing[@]}"
}

make_venv() {
  if [ -n "${LIMOSA_VENV_DIR:-}" ] && [ ! -e "$VENV" ]; then
    mkdir -p "$LIMOSA_VENV_DIR"
    ln -sfn "$LIMOSA_VENV_DIR" "$VENV"
  fi
  if ! "$VENV/bin/python" -c 'import pip' 2>/dev/null; then
    note "making .venv"
    python3 -m venv --clear "$(readlink -f "$VENV")"
  fi
}

install_requirements() {
  local file stamp
  for file in "$@"; do
    stamp=$VENV/.limosa-$(basename "$file" .txt)
    if cmp -s "$file" "$stamp"; then
      note "$(basename "$file"): nothing to do"
      continue
    fi
    note "$(basename "$file"): installing"
    run_logged "pip-$(basename "$file" .txt).log" "$VENV/bin/python" -m pip install \
      --disable-pip-version-check --progress-bar off -r "$file"
    cp "$file" "$stamp"
  done
}

step "Debian packages"
install_packages
step "Python packages in .venv"
make_venv
requirements=(scripts/requirements.txt)
[ "$want" = test ] && requirements+=(scripts/requirements-test.txt)
install_requirements "${requirements[@]}"
