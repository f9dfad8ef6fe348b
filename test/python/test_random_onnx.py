"""Random ONNX graphs against onnxruntime: the short run of test/fuzz/random_onnx.py."""

import os
import pathlib
import subprocess
import sys

import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
SCRIPT = pathlib.Path(__file__).resolve().parents[1] / "fuzz" / "random_onnx.py"


def test_random_graphs(limosa):
    where = os.pathsep.join([str(pathlib.Path(limosa.__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run([sys.executable, str(SCRIPT), "--first", "0", "--count", "100", "--jobs", "2"],
                          capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": where})
    assert done.returncode == 0, done.stdout + done.stderr
    graphs, compared, findings = (int(word) for word in done.stdout.split() if word.isdigit())
    assert (graphs, findings) == (100, 0) and compared >= 95, done.stdout
