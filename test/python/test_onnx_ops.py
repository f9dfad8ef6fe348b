"""ONNX's own cases (onnx.backend.test) on compiled code, by ONNX's own runner.

Every case that the importer takes has to compile and be right. What it refuses is
skipped with its reason and counted: `test_score` fails when fewer pass than did, so
that the score can only be lowered knowingly. onnx_score.py writes the whole list.
LIMOSA_ONNX_EXECUTOR chooses the executor, LIMOSA_ONNX_CASES (a regular expression) the cases.
"""

import os
import re

import pytest

pytest.importorskip("onnx")
pytest.importorskip("limosa", reason="the Python module is not built")
import onnx_score  # noqa: E402

EXECUTOR = os.environ.get("LIMOSA_ONNX_EXECUTOR", "cpu")
PATTERN = os.environ.get("LIMOSA_ONNX_CASES")
CASES = onnx_score.tests(EXECUTOR)

# How many of all cases have to pass.
SCORE = 1897

passed = set()


@pytest.mark.parametrize("name", [n for n in sorted(CASES) if re.search(PATTERN or "", n)])
def test_case(name):
    why = onnx_score.run_case(CASES[name])
    if why is None:
        passed.add(name)
        return
    for pattern, other in onnx_score.OTHERWISE.items():
        if re.match(pattern, name):
            pytest.xfail(other)
    if why.startswith(onnx_score.REFUSED):
        pytest.skip(why)
    pytest.fail(why)


def test_score():
    if PATTERN:
        pytest.skip("only some cases were chosen")
    assert len(passed) >= SCORE
