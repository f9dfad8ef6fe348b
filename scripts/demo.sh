#!/usr/bin/env bash
# Installs what is missing, builds, and reads the text of a picture with the
# three OCR models of rapidocr-onnxruntime, compiled and run by Limosa.
#
#   scripts/demo.sh [picture.png] [--threads N]
set -euo pipefail
"$(dirname "$0")/build.sh" release limosa-command limosa_python LimosaCompiler
source "$(dirname "$0")/common.sh"
step "Read a picture"
exec "$VENV/bin/python" examples/ocr/ocr.py "$@"
