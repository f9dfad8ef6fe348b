"""ONNX's own cases (onnx.backend.test) on compiled code, against their expected outputs.

Every case is counted: what a model needs that Limosa lacks is a failure of the case
unless it is known (KNOWN below), so that the score can only be raised knowingly.
LIMOSA_ONNX_DEVICE chooses the device, LIMOSA_ONNX_CASES (a regular expression) the cases.
"""

import os
import re
from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
from onnx import numpy_helper  # noqa: E402

DATA = Path(onnx.__file__).parent / "backend" / "test" / "data"
DEVICE = os.environ.get("LIMOSA_ONNX_DEVICE", "cpu")
PATTERN = os.environ.get("LIMOSA_ONNX_CASES")
# A sample in every run, all of them by LIMOSA_ONNX_CASES=.
STEP = 1 if PATTERN else 16

# What is not there yet, by the importer's reason; issue 3 is about emptying this list.
KNOWN = re.compile(
    r"operator not supported|is not supported|are not supported|needs operator set|"
    r"must be (a )?constant|must be known|needs (sizes|scales) that are known|"
    r"is no tensor|has to be one|change from round to round"
)
# Storage types that have no numpy array to hand over.
STORAGE = re.compile(r"FLOAT8|FLOAT4|INT4|UINT4|E8M0|BFLOAT16|float8|float4|int4|int2", re.I)


def _cases():
    folders = [
        folder
        for kind in ("node", "simple", "pytorch-converted", "pytorch-operator")
        for folder in sorted((DATA / kind).glob("test_*"))
        if (folder / "test_data_set_0").is_dir()
    ]
    if PATTERN:
        folders = [f for f in folders if re.search(PATTERN, f.name)]
    return folders[::STEP]


def _load(path):
    tensor = onnx.TensorProto()
    tensor.ParseFromString(path.read_bytes())
    return numpy_helper.to_array(tensor)


@pytest.mark.parametrize("folder", _cases(), ids=lambda f: f.name)
def test_case(folder, limosa):
    if STORAGE.search(folder.name):
        pytest.skip("storage types are tested by convert's own tests")
    graph = onnx.load(folder / "model.onnx", load_external_data=False).graph
    try:
        model = limosa.load(folder / "model.onnx", device=DEVICE, threads=2)
    except Exception as error:  # noqa: BLE001 - the message decides
        if KNOWN.search(str(error)):
            pytest.xfail(str(error).splitlines()[-1])
        raise
    constants = {tensor.name for tensor in graph.initializer}
    for data in sorted(folder.glob("test_data_set_*")):
        feeds = {
            value.name: _load(data / f"input_{i}.pb")
            for i, value in enumerate(graph.input)
            if value.name not in constants
        }
        got = model.run(feeds)
        for i, value in enumerate(graph.output):
            want, have = _load(data / f"output_{i}.pb"), got[value.name]
            assert have.shape == want.shape and have.dtype == want.dtype, value.name
            if want.dtype.kind in "fc":
                tolerance = dict(rtol=1e-3, atol=1e-3 if want.dtype == np.float16 else 1e-5)
                np.testing.assert_allclose(have, want, **tolerance)
            else:
                np.testing.assert_array_equal(have, want)
