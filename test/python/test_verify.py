"""limosa verify: passes on every model, and names the op of a wrong kernel."""

import json
import os

import numpy as np
import pytest
from models import all_models

TIER = os.environ.get("LIMOSA_TEST_TIER")


def _verify(limosa_command, path, *arguments, code=0):
    said = limosa_command("verify", path, "--json", *arguments, code=code)
    return json.loads(said.stdout)


@pytest.mark.parametrize("model", [pytest.param(m, id=m.name) for m in all_models()])
def test_passes_on_every_model(model, model_file, limosa_command, tmp_path):
    if TIER == "small" and model.tier != "small":
        pytest.skip("LIMOSA_TEST_TIER=small")
    feeds = model.feeds(model.sizes[0], seed=0)
    arguments = []
    for name, value in feeds.items():
        file = tmp_path / f"{len(arguments)}.npy"
        np.save(file, value)
        arguments += ["--input", f"{name}={file}"]
    found = _verify(limosa_command, model_file(model.name), *arguments)
    assert found["launches_checked"] > 0 and not found["wrong"]
    assert not found["unchecked"] and not found["not_compared"]
    assert found["outputs"] and all(output["agrees"] for output in found["outputs"])


@pytest.mark.parametrize(
    "op, node",
    [("erf", "intermediate_act_fn/Erf"), ("contract", "MatMul"),
     ("sqrt", "LayerNorm")],
)
def test_names_the_op_of_a_wrong_kernel(op, node, model_file, limosa_command):
    found = _verify(limosa_command, model_file("small-bert"), "--flag", f"plant={op}", code=1)
    assert not found["good"] and found["wrong"]
    assert found["first_wrong_op"]["op"].startswith(op + " at ")
    assert node in found["first_wrong_op"]["nodes"]
