"""Real models, each compiled once, against onnxruntime at several sizes."""

import os

import pytest
from compare import assert_same
from models import all_models

TIER = os.environ.get("LIMOSA_TEST_TIER")

# What is known to be off, and by how much: reported as xfailed until mended.
KNOWN_DIFFERENCES = {
    "ocr-det": "1.4e-7 off where the largest value is 1.4e-5 (128x192), 2e-3 of it at 320x320",
}


def _cases():
    for model in all_models():
        reason = KNOWN_DIFFERENCES.get(model.name)
        marks = [pytest.mark.xfail(reason=reason, strict=False)] if reason else []
        yield pytest.param(model, id=model.name, marks=marks)


def _session(path):
    onnxruntime = pytest.importorskip("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _expected(session, feeds):
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, feeds)))


@pytest.mark.parametrize("model", _cases())
def test_agrees_with_onnxruntime(model, model_file, limosa):
    if TIER == "small" and model.tier != "small":
        pytest.skip("LIMOSA_TEST_TIER=small")
    path = model_file(model.name)
    compiled = limosa.load(path, device="cpu", threads=2)
    session = _session(path)
    for number, sizes in enumerate(model.sizes):
        feeds = model.feeds(sizes, seed=number)
        try:
            assert_same(compiled.run(feeds), _expected(session, feeds))
        except AssertionError as difference:
            raise AssertionError(f"at {sizes}: {difference}") from None
