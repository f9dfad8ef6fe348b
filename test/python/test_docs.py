"""Generated pages are what their generators print."""

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def test_onnx_operators():
    tool = ROOT / "build" / "bin" / "limosa-opt"
    if not tool.exists():
        pytest.skip("build/bin/limosa-opt is not built")
    printed = subprocess.check_output([tool, "--onnx-operators"], text=True)
    page = (ROOT / "docs" / "onnx.md").read_text()
    assert page == printed, "run: build/bin/limosa-opt --onnx-operators > docs/onnx.md"
