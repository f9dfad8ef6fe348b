"""Real models, each compiled once, against onnxruntime at several sizes."""

import os

import pytest
from compare import assert_same
from models import all_models

TIER = os.environ.get("LIMOSA_TEST_TIER")


def _session(path, optimised=True):
    onnxruntime = pytest.importorskip("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    if not optimised:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _expected(session, feeds):
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, feeds)))


@pytest.mark.parametrize("model", [pytest.param(m, id=m.name) for m in all_models()])
def test_agrees_with_onnxruntime(model, model_file, limosa):
    if TIER == "small" and model.tier != "small":
        pytest.skip("LIMOSA_TEST_TIER=small")
    path = model_file(model.name)
    compiled = limosa.load(path, device="cpu", threads=2)
    session = _session(path)
    plain = None  # the session without optimisations, made when it is needed
    for number, sizes in enumerate(model.sizes):
        feeds = model.feeds(sizes, seed=number)
        results = compiled.run(feeds)
        try:
            assert_same(results, _expected(session, feeds))
        except AssertionError as difference:
            # onnxruntime's own optimisations move ocr-det by 3e-4, away from the reference device.
            try:
                plain = plain or _session(path, optimised=False)
                assert_same(results, _expected(plain, feeds))
            except AssertionError:
                raise AssertionError(f"at {sizes}: {difference}") from None
