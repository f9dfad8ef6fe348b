"""Operators of the user's own that are made of ONNX operators."""

import json
from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
from custom_models import chain, random  # noqa: E402


def gelu(ops, x, *, scale=1.0):
    return x * ops.erf(x * scale) + ops.reduce_mean(x, axes=[0], keepdims=1)


def expected_gelu(x, scale):
    from math import erf
    return (x * np.vectorize(erf)(x * scale) + x.mean(0, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("device", ["cpu", "reference"])
def test_body_runs_on_every_device(limosa, tmp_path, device):
    limosa.register_operator("my.domain::Op", body=gelu, body_opset=17)
    plugins = [Path(limosa.__file__).parent / "liblimosa_reference.so"]
    try:
        model = limosa.load(chain(tmp_path, dims=("N", 3), scale=0.5), device=device,
                            plugins=plugins if device == "reference" else ())
    finally:
        limosa.unregister_operator("my.domain::Op")
    x = random(6, 3)
    np.testing.assert_allclose(model.run({"x": x})["y"], -expected_gelu(-x, 0.5), atol=1e-5)


def test_body_is_fused(limosa, limosa_command, tmp_path):
    limosa.register_operator("my.domain::Op", body=lambda ops, x: ops.tanh(x) * 2)
    try:
        limosa.compile(chain(tmp_path), tmp_path / "m.lim")
    finally:
        limosa.unregister_operator("my.domain::Op")
    found = json.loads(limosa_command("inspect", tmp_path / "m.lim", "--json", "--static").stdout)
    assert len(found["kernels"]) == 1


def oops(ops, x):
    raise KeyError("what")


@pytest.mark.parametrize("body, words", [
    (lambda ops, x: ops.no_such(x), "NoSuch: operator not supported"),
    (lambda ops, x: ops.matmul(x, ops.constant(np.float64(1))), "MatMul: "),
    (lambda ops, x: (x, x), "the function returns 2"),
    (oops, "oops|KeyError"),
])
def test_mistakes_of_bodies(limosa, tmp_path, body, words):
    limosa.register_operator("my.domain::Op", body=body)
    try:
        with pytest.raises(NotImplementedError, match=words) as raised:
            limosa.load(chain(tmp_path))
        assert "the_Op" in str(raised.value)
    finally:
        limosa.unregister_operator("my.domain::Op")


def test_body_that_declines_leaves_it_to_the_kernel(limosa, custom_op, tmp_path):
    def body(ops, x):
        y = x * 2
        if len(x.shape) != 2:
            raise NotImplementedError
        return y

    custom_op("my.domain::Op", shape=lambda x: x, body=body)(lambda x: x * np.float32(10))
    x = random(3)
    np.testing.assert_array_equal(limosa.load(chain(tmp_path)).run({"x": x})["y"], x * 10)
    x = random(3, 2)
    model = limosa.load(chain(tmp_path, dims=("N", 2)))
    np.testing.assert_array_equal(model.run({"x": x})["y"], x * 2)


def test_cache_knows_operators_in_bodies(limosa, tmp_path):
    """The model names only the outer one."""
    path = chain(tmp_path, op="CachedOuter")
    def register_inner(factor):
        limosa.register_operator("my.domain::CachedInner", body=lambda ops, x: ops.mul(x, np.float32(factor)))
    register_inner(2)
    limosa.register_operator("my.domain::CachedOuter", body=lambda ops, x: ops("my.domain::CachedInner", x))
    x = np.ones(1, np.float32)
    for factor in (2, 3):
        register_inner(factor)
        assert limosa.load(path).run({"x": x})["y"] == factor
    for name in ("Outer", "Inner"):
        limosa.unregister_operator("my.domain::Cached" + name)


def test_body_with_other_operators_of_users(limosa, custom_op, tmp_path):
    custom_op("my.domain::Inner", shape=lambda x: x)(lambda x: x * np.float32(3))
    limosa.register_operator("my.domain::Op", body=lambda ops, x: -ops("my.domain::Inner", x) + 1)
    try:
        model = limosa.load(chain(tmp_path))
    finally:
        limosa.unregister_operator("my.domain::Op")
    x = random(4)
    np.testing.assert_allclose(model.run({"x": x})["y"], -(3 * x + 1), rtol=1e-6)
