"""Operators of your own in Python: a kernel in NumPy, and one made of ONNX operators."""

import tempfile
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

import limosa


# Only the kernel knows how many elements are positive: "?".
@limosa.custom_op("my.domain::Positive", inputs=1, outputs=1,
                  shape=lambda x: limosa.TensorType(x.dtype, ("?",)))
def positive(x):
    return x[x > 0]


# The last dimension is cut into pairs: N columns become N // 2.
@limosa.custom_op("my.domain::PairSums", inputs=1, outputs=1,
                  shape=lambda x: limosa.TensorType(x.dtype, (*x.shape[:-1], x.shape[-1] // 2)))
def pair_sums(x):
    pairs = x.shape[-1] // 2
    return x[..., :2 * pairs].reshape(*x.shape[:-1], pairs, 2).sum(-1)


# A body is compiled and fused with the rest of the model, on any device.
def gelu(ops, x, *, scale=2 ** -0.5):
    return 0.5 * x * (1 + ops.erf(x * scale))


limosa.register_operator("my.domain::Gelu", body=gelu, inputs=1, outputs=1)


def main():
    nodes = [helper.make_node("PairSums", ["x"], ["p"], domain="my.domain"),
             helper.make_node("Gelu", ["p"], ["g"], domain="my.domain"),
             helper.make_node("Positive", ["g"], ["y"], domain="my.domain")]
    graph = helper.make_graph(
        nodes, "example", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", "M"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17),
                                                    helper.make_opsetid("my.domain", 1)])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "example.onnx"
        onnx.save(model, path)
        compiled = limosa.load(path)
    for shape in ((2, 4), (3, 7)):
        x = np.linspace(-2, 2, shape[0] * shape[1], dtype=np.float32).reshape(shape)
        print(compiled.run({"x": x})["y"])


if __name__ == "__main__":
    main()
