"""The smallest graphs that show what once went wrong with a model, against onnxruntime."""

import numpy as np
import pytest
from compare import assert_same

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
from onnx import TensorProto, helper  # noqa: E402

FLOAT, INT64, BOOL = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL


def constant(name, values, dtype=np.int64):
    return onnx.numpy_helper.from_array(np.asarray(values, dtype), name)


def model(nodes, inputs, outputs, constants=(), opset=17, **graph):
    """`inputs`: {name: (element type, shape)}; outputs likewise, or types alone."""

    def infos(named):
        return [
            helper.make_tensor_value_info(name, *(info if isinstance(info, tuple) else (info, None)))
            for name, info in named.items()
        ]

    made = helper.make_graph(nodes, "graph", infos(inputs), infos(outputs), list(constants), **graph)
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def check(limosa, tmp_path, made, *feeds, tolerance=None):
    path = tmp_path / "model.onnx"
    onnx.save(made, path)
    compiled = limosa.load(path, device="cpu", threads=2)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    for feed in feeds:
        assert_same(compiled.run(feed), dict(zip(names, session.run(names, feed))))


def floats(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


node = helper.make_node


def test_empty_results_compile(limosa, tmp_path):
    """A loop that collects starts from a tensor of size 0."""
    made = model(
        [node("Expand", ["x", "shape"], ["none"]), node("Concat", ["none", "x"], ["y"], axis=0)],
        {"x": (FLOAT, [1, 8])}, {"y": FLOAT, "none": FLOAT}, [constant("shape", [0, 8])])
    check(limosa, tmp_path, made, {"x": floats(1, 8)})


def test_pads_made_by_transposing(limosa, tmp_path):
    """torch reverses the order of pads with Slice and Transpose; squeezes ask for the size."""
    made = model(
        [
            node("Reshape", ["pads", "pairs"], ["a"]),
            node("Slice", ["a", "from", "to", "axis", "back"], ["b"]),
            node("Transpose", ["b"], ["c"], perm=[1, 0]),
            node("Reshape", ["c", "flat"], ["d"]),
            node("Pad", ["x", "d"], ["y"]),
        ],
        {"x": (FLOAT, ["N", 3])}, {"y": (FLOAT, ["M", 6])},
        [constant("pads", [1, 2, 0, 1]), constant("pairs", [-1, 2]), constant("from", [-1]),
         constant("to", [-(2**63) + 1]), constant("axis", [0]), constant("back", [-1]),
         constant("flat", [-1])])
    check(limosa, tmp_path, made, {"x": floats(2, 3)}, {"x": floats(5, 3)})


@pytest.mark.parametrize("size", [(12, 10), (9, 16), (1, 7)])
def test_aligned_corners_with_scales(limosa, tmp_path, size):
    """A scale that gives no whole size: the rounded one counts, as in torch."""
    made = model(
        [node("Resize", ["x", "", "scales"], ["y"], mode="linear",
              coordinate_transformation_mode="align_corners")],
        {"x": (FLOAT, ["N", 3, "H", "W"])}, {"y": FLOAT},
        [constant("scales", [1, 1, 1.5, 0.7], np.float32)])
    check(limosa, tmp_path, made, {"x": floats(2, 3, *size)})


@pytest.mark.parametrize("kernel, stride", [(3, 2), (7, 4), (16, 16)])
def test_sizes_of_convolutions_as_arithmetic(limosa, tmp_path, kernel, stride):
    """(H - kernel) / stride + 1 is exact, not a size that only running shows."""
    made = model(
        [
            node("Conv", ["x", "w"], ["c"], strides=[stride]),
            node("Shape", ["x"], ["h"], start=2),
            node("Sub", ["h", "kernel"], ["a"]),
            node("Div", ["a", "stride"], ["b"]),
            node("Add", ["b", "one"], ["length"]),
            node("Concat", ["minus", "length"], ["shape"], axis=0),
            node("Reshape", ["c", "shape"], ["r"]),
            node("Softmax", ["r"], ["y"]),
        ],
        {"x": (FLOAT, ["N", 2, "H"])}, {"y": FLOAT},
        [onnx.numpy_helper.from_array(floats(4, 2, kernel, seed=1), "w"), constant("kernel", [kernel]),
         constant("stride", [stride]), constant("one", [1]), constant("minus", [-1])])
    check(limosa, tmp_path, made, {"x": floats(2, 2, 32)}, {"x": floats(1, 2, 67)})


def test_square_root_of_a_size(limosa, tmp_path):
    """Tokens back to an image: the side is the root of their number."""
    made = model(
        [
            node("Shape", ["x"], ["tokens"], start=1, end=2),
            node("Cast", ["tokens"], ["f"], to=FLOAT),
            node("Pow", ["f", "half"], ["root"]),
            node("Cast", ["root"], ["side"], to=INT64),
            node("Concat", ["minus", "side", "side", "channels"], ["shape"], axis=0),
            node("Reshape", ["x", "shape"], ["r"]),
            node("Transpose", ["r"], ["t"], perm=[0, 3, 1, 2]),
            node("ConvTranspose", ["t", "w"], ["y"], strides=[2, 2]),
        ],
        {"x": (FLOAT, ["N", 16, 4])}, {"y": FLOAT},
        [constant("half", 0.5, np.float32), constant("minus", [-1]), constant("channels", [4]),
         onnx.numpy_helper.from_array(floats(4, 3, 2, 2, seed=1), "w")])
    check(limosa, tmp_path, made, {"x": floats(2, 16, 4)}, {"x": floats(1, 16, 4)})


def test_reshape_by_values(limosa, tmp_path):
    """A shape of data: its sizes have no useful bounds, and need none."""
    made = model(
        [
            node("Reshape", ["x", "shape"], ["r"]),
            node("Transpose", ["r"], ["t"], perm=[3, 1, 2, 0]),
            node("Mul", ["t", "t"], ["m"]),
            node("ReduceSum", ["m", "axis"], ["y"], keepdims=0),
        ],
        {"x": (FLOAT, ["N", 64]), "shape": (INT64, [4])}, {"y": FLOAT}, [constant("axis", [1])])
    check(limosa, tmp_path, made,
          {"x": floats(50, 64), "shape": np.array([5, 10, 8, -1])},
          {"x": floats(3, 64), "shape": np.array([3, 4, 0, 4][:2] + [8, 2])})


@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("mode", ["linear", "nearest", "cubic"])
@pytest.mark.parametrize("align", [0, 1])
def test_grid_sample(limosa, tmp_path, mode, padding, align):
    made = model(
        [node("GridSample", ["x", "grid"], ["y"], mode=mode, padding_mode=padding, align_corners=align)],
        {"x": (FLOAT, ["N", 3, "H", "W"]), "grid": (FLOAT, ["N", "A", "B", 2])}, {"y": FLOAT}, opset=20)
    check(limosa, tmp_path, made,
          {"x": floats(2, 3, 5, 7), "grid": 1.3 * floats(2, 4, 6, 2, seed=1)},
          {"x": floats(1, 3, 8, 3), "grid": 0.6 * floats(1, 3, 2, 2, seed=2)})


@pytest.mark.parametrize("parts", [1, 2])
@pytest.mark.parametrize("inverse, onesided", [(0, 0), (0, 1), (1, 0)])
def test_fourier_transforms(limosa, tmp_path, parts, inverse, onesided):
    if parts == 2 and onesided:
        pytest.skip("onesided transforms are of real numbers")
    made = model(
        [node("DFT", ["x", "length", "axis"], ["y"], inverse=inverse, onesided=onesided),
         node("DFT", ["x", "", "axis"], ["z"], inverse=inverse, onesided=onesided)],
        {"x": (FLOAT, ["N", "T", parts])}, {"y": FLOAT, "z": FLOAT},
        [constant("length", 12), constant("axis", 1)], opset=20)
    check(limosa, tmp_path, made, {"x": floats(2, 16, parts)}, {"x": floats(3, 8, parts)})


def test_short_time_fourier_transform(limosa, tmp_path):
    made = model(
        [node("STFT", ["x", "step", "window"], ["y"])], {"x": (FLOAT, ["N", "T", 1])}, {"y": FLOAT},
        [constant("step", 4), constant("window", np.hanning(16), np.float32)])
    check(limosa, tmp_path, made, {"x": floats(2, 64, 1)}, {"x": floats(1, 30, 1)})


def test_sequences(limosa, tmp_path):
    """Split, take, insert, erase, count and join: none of it is left in the program."""
    made = model(
        [
            node("SplitToSequence", ["x", "two"], ["parts"], axis=1),
            node("SequenceAt", ["parts", "last"], ["a"]),
            node("SequenceInsert", ["parts", "a", "zero"], ["more"]),
            node("SequenceErase", ["more", "last"], ["fewer"]),
            node("SequenceLength", ["fewer"], ["length"]),
            node("ConcatFromSequence", ["fewer"], ["y"], axis=1),
            node("SequenceConstruct", ["a", "a"], ["pair"]),
            node("ConcatFromSequence", ["pair"], ["z"], axis=2, new_axis=1),
        ],
        {"x": (FLOAT, ["N", 6])}, {"y": FLOAT, "z": FLOAT, "length": INT64},
        [constant("two", 2), constant("last", -1), constant("zero", 0)])
    check(limosa, tmp_path, made, {"x": floats(2, 6)}, {"x": floats(5, 6)})


@pytest.mark.parametrize("per_round", [1, 2])
def test_loop_appends_to_a_sequence(limosa, tmp_path, per_round):
    """What torch.jit.script makes of a list that a loop fills."""
    body = helper.make_graph(
        [node("Gather", ["x", "i"], ["row"]), node("Add", ["row", "h"], ["h2"]),
         node("SequenceInsert", ["list", "h2"], ["list1"]),
         node("SequenceInsert", ["list1", "row"] if per_round == 2 else ["list", "h2"], ["list2"]),
         node("Identity", ["go"], ["on"])],
        "body",
        [helper.make_tensor_value_info("i", INT64, []), helper.make_tensor_value_info("go", BOOL, []),
         helper.make_tensor_sequence_value_info("list", FLOAT, None),
         helper.make_tensor_value_info("h", FLOAT, ["C"])],
        [helper.make_tensor_value_info("on", BOOL, []),
         helper.make_tensor_sequence_value_info("list2", FLOAT, None),
         helper.make_tensor_value_info("h2", FLOAT, ["C"])])
    made = model(
        [
            node("Shape", ["x"], ["rounds"], end=1), node("Squeeze", ["rounds"], ["trips"]),
            node("SequenceEmpty", [], ["none"]), node("SequenceInsert", ["none", "h0"], ["first"]),
            node("Loop", ["trips", "true", "first", "h0"], ["list", "h"], body=body),
            node("ConcatFromSequence", ["list"], ["y"], axis=0, new_axis=1),
            node("ConcatFromSequence", ["list"], ["z"], axis=0),
            node("SequenceLength", ["list"], ["length"]),
            node("Div", ["length", "two"], ["middle"]), node("SequenceAt", ["list", "middle"], ["m"]),
        ],
        {"x": (FLOAT, ["T", 4]), "h0": (FLOAT, [4])},
        {"y": FLOAT, "z": FLOAT, "length": INT64, "m": FLOAT, "h": FLOAT},
        [constant("true", True, bool), constant("two", 2)])
    check(limosa, tmp_path, made, {"x": floats(3, 4), "h0": floats(4)},
          {"x": floats(7, 4), "h0": floats(4, seed=3)})


@pytest.mark.parametrize("case", [
    dict(image=(5, 5), block=(1, 5)),
    dict(image=(6, 8), block=(2, 3), strides=(2, 2), pads=(0, 1, 1, 1)),
    dict(image=(7, 6), block=(3, 2), dilations=(2, 3), strides=(1, 1)),
    dict(image=(4, 5, 6), block=(2, 2, 1)),
])
def test_col2im(limosa, tmp_path, case):
    rank = len(case["image"])
    strides, dilations = case.get("strides", (1,) * rank), case.get("dilations", (1,) * rank)
    pads = case.get("pads", (0,) * 2 * rank)
    counts = [(i + pads[d] + pads[d + rank] - dilations[d] * (b - 1) - 1) // strides[d] + 1
              for d, (i, b) in enumerate(zip(case["image"], case["block"]))]
    made = model(
        [node("Col2Im", ["x", "image", "block"], ["y"], strides=strides, dilations=dilations, pads=pads)],
        {"x": (FLOAT, ["N", 3 * int(np.prod(case["block"])), int(np.prod(counts))])}, {"y": FLOAT},
        [constant("image", case["image"]), constant("block", case["block"])], opset=18)
    shape = 3 * int(np.prod(case["block"])), int(np.prod(counts))
    check(limosa, tmp_path, made, {"x": floats(2, *shape)}, {"x": floats(1, *shape)})


@pytest.mark.parametrize("sorted", [0, 1])
def test_unique(limosa, tmp_path, sorted):
    made = model(
        [node("Unique", ["x"], ["y", "first", "inverse", "counts"], sorted=sorted)],
        {"x": (INT64, ["N", "M"])}, {"y": INT64, "first": INT64, "inverse": INT64, "counts": INT64})
    draw = np.random.default_rng(0).integers
    check(limosa, tmp_path, made, {"x": draw(0, 9, (4, 5))}, {"x": draw(0, 3, (2, 50))}, {"x": draw(0, 9, (1, 1))})


def squeezed_if_one(x, size, out):
    """torch's x.squeeze(size's dimension) when it does not know the size: an If whose branches differ in rank."""
    branch = lambda name, op, inputs: helper.make_graph(  # noqa: E731
        [node(op, inputs, [name])], name, [], [helper.make_tensor_value_info(name, FLOAT, None)])
    return [
        node("Shape", [x], ["shape"]), node("Gather", ["shape", size], ["extent"]),
        node("Equal", ["extent", "one"], ["is_one"]),
        node("If", ["is_one"], [out], then_branch=branch("then", "Squeeze", [x, size]),
             else_branch=branch("else", "Identity", [x])),
    ]


def test_branches_of_two_ranks_where_one_fits(limosa, tmp_path):
    """What follows takes rank 2 only: the size has to be 1, and a run says so if it is not."""
    made = model(
        squeezed_if_one("x", "last", "s") + [node("Gemm", ["s", "w"], ["y"])],
        {"x": (FLOAT, ["N", 4, "T"])}, {"y": (FLOAT, ["N", 5])},
        [constant("last", [-1]), constant("one", [1]), constant("w", floats(4, 5), np.float32)])
    check(limosa, tmp_path, made, {"x": floats(2, 4, 1)}, {"x": floats(1, 4, 1)})
    with pytest.raises(Exception, match="If.*does not work at these sizes.*Gemm"):
        limosa.load(tmp_path / "model.onnx").run({"x": floats(2, 4, 3)})


def test_branches_of_two_ranks_where_both_fit(limosa, tmp_path):
    made = model(
        squeezed_if_one("x", "last", "s") + [
            node("ReduceSum", ["s", "first"], ["sum"], keepdims=0),
            node("Reshape", ["sum", "flat"], ["y"])],
        {"x": (FLOAT, ["N", 4, "T"])}, {"y": (FLOAT, ["K"])},
        [constant("last", [-1]), constant("one", [1]), constant("first", [0]), constant("flat", [-1])])
    check(limosa, tmp_path, made, {"x": floats(2, 4, 1)}, {"x": floats(3, 4, 5)})


def test_branches_of_two_ranks_in_a_branch(limosa, tmp_path):
    """silero_vad asks for the rate outside and for the size inside."""
    def outer(name, factor):
        nodes = squeezed_if_one("x", "last", "s") + [
            node("Gemm", ["s", "w"], ["p"], alpha=factor)]
        return helper.make_graph(nodes, name, [], [helper.make_tensor_value_info("p", FLOAT, None)])
    made = model(
        [node("If", ["fast"], ["y"], then_branch=outer("a", 1.0), else_branch=outer("b", 2.0))],
        {"x": (FLOAT, ["N", 4, "T"]), "fast": (BOOL, [])}, {"y": (FLOAT, ["N", 5])},
        [constant("last", [-1]), constant("one", [1]), constant("w", floats(4, 5), np.float32)])
    check(limosa, tmp_path, made, {"x": floats(2, 4, 1), "fast": np.array(True)},
          {"x": floats(3, 4, 1), "fast": np.array(False)})


def test_branches_with_a_scalar_and_a_vector_of_one(limosa, tmp_path):
    """PaddlePaddle writes scalars now as [], now as [1]."""
    scalar = helper.make_graph([node("Identity", ["c"], ["a"])], "t", [], [helper.make_tensor_value_info("a", BOOL, [])])
    vector = helper.make_graph([node("Identity", ["d"], ["b"])], "e", [], [helper.make_tensor_value_info("b", BOOL, [])])
    made = model(
        [node("If", ["fast"], ["z"], then_branch=scalar, else_branch=vector),
         node("Cast", ["z"], ["f"], to=FLOAT), node("Add", ["x", "f"], ["y"])],
        {"x": (FLOAT, ["N"]), "fast": (BOOL, []), "d": (BOOL, [1])}, {"y": (FLOAT, ["N"])},
        [constant("c", True, np.bool_)])
    for fast in (True, False):
        check(limosa, tmp_path, made, {"x": floats(3), "fast": np.array(fast), "d": np.array([not fast])})


def test_loop_with_a_scalar_that_becomes_a_vector_of_one(limosa, tmp_path):
    body = helper.make_graph(
        [node("Add", ["s", "one"], ["next"]), node("Identity", ["c"], ["go"])], "body",
        [helper.make_tensor_value_info("i", INT64, []), helper.make_tensor_value_info("c", BOOL, []),
         helper.make_tensor_value_info("s", INT64, [])],
        [helper.make_tensor_value_info("go", BOOL, []), helper.make_tensor_value_info("next", INT64, [1])])
    made = model([node("Loop", ["rounds", "", "zero"], ["last"], body=body), node("Add", ["last", "x"], ["y"])],
                 {"rounds": (INT64, []), "x": (INT64, [3])}, {"y": (INT64, [3])},
                 [constant("one", [1]), constant("zero", 0)])
    path = tmp_path / "model.onnx"
    onnx.save(made, path)
    x = np.arange(3)
    for rounds in (1, 4):
        got = limosa.load(path).run({"rounds": np.array(rounds), "x": x})["y"]
        np.testing.assert_array_equal(got, x + rounds)


def test_loop_that_defines_a_variable(limosa, tmp_path):
    """Before the loop PaddlePaddle gives the variable a placeholder of another rank, which the body does not read."""
    body = helper.make_graph(
        [node("Mul", ["x", "two"], ["v_next"]), node("Add", ["s", "v_next"], ["s_next"]),
         node("Identity", ["c"], ["go"])], "body",
        [helper.make_tensor_value_info("i", INT64, []), helper.make_tensor_value_info("c", BOOL, []),
         helper.make_tensor_value_info("v", FLOAT, ["N", 3]), helper.make_tensor_value_info("s", FLOAT, ["N", 3])],
        [helper.make_tensor_value_info("go", BOOL, []), helper.make_tensor_value_info("v_next", FLOAT, ["N", 3]),
         helper.make_tensor_value_info("s_next", FLOAT, ["N", 3])])
    made = model([node("Loop", ["rounds", "", "nothing", "x"], ["v_last", "s_last"], body=body)],
                 {"rounds": (INT64, []), "x": (FLOAT, ["N", 3])}, {"v_last": FLOAT, "s_last": FLOAT},
                 [constant("two", 2, np.float32), constant("nothing", [0], np.float32)])
    path = tmp_path / "model.onnx"
    onnx.save(made, path)
    x = floats(4, 3)
    got = limosa.load(path).run({"rounds": np.array(3), "x": x})
    np.testing.assert_allclose(got["v_last"], 2 * x, rtol=1e-6)
    np.testing.assert_allclose(got["s_last"], 7 * x, rtol=1e-5)


@pytest.mark.parametrize("declared, batches", [(["K"], [1]), (["N", 4], [1, 3]), (None, [2, 3])])
def test_squeeze_without_axes(limosa, tmp_path, declared, batches):
    """Whether the batch is meant to go the declared rank tells (speechmos); else it stays."""
    made = model([node("Squeeze", ["x"], ["y"])], {"x": (FLOAT, ["N", 1, 4])}, {"y": (FLOAT, declared)}, opset=11)
    path = tmp_path / "model.onnx"
    onnx.save(made, path)
    compiled = limosa.load(path)
    for batch in batches:
        x = floats(batch, 1, 4)
        np.testing.assert_array_equal(compiled.run({"x": x})["y"],
                                      x[0, 0] if declared == ["K"] else x[:, 0])


@pytest.mark.parametrize("start, end, step", [
    (1, -1, -2), (-3, -5, -2), (-9, -9, -1), (9, -9, -3), (0, -99, -1), (5, 2, 1), (-1, -1, -2), (-9, 9, 2),
    (6, -5, -2), (2**63 - 1, -(2**63), -1),
])
@pytest.mark.parametrize("size", [0, 1, 2, 6])
def test_slices_beyond_the_ends(limosa, tmp_path, start, end, step, size):
    """Backwards, a start before the first element is the first element: ONNX, not numpy."""
    for dim in (size, "N"):
        made = model([node("Slice", ["x", "from", "to", "axis", "step"], ["y"])],
                     {"x": (FLOAT, [dim, 3])}, {"y": FLOAT},
                     [constant("from", [start]), constant("to", [end]), constant("axis", [0]), constant("step", [step])])
        check(limosa, tmp_path, made, {"x": floats(size, 3)})


@pytest.mark.parametrize("op", ["Max", "Add", "Where"])
def test_broadcast_of_nothing(limosa, tmp_path, op):
    """Of two sizes that are not known the one that is 1 gives way, also to 0."""
    inputs = ["x", "z"] if op != "Where" else ["c", "x", "z"]
    made = model(
        [node("Greater", ["x", "x"], ["c"]), node(op, inputs, ["a"]), node("Mul", ["a", "x"], ["y"])],
        {"x": (FLOAT, ["N", 3]), "z": (FLOAT, ["M", 1])}, {"y": FLOAT})
    check(limosa, tmp_path, made, *({"x": floats(n, 3), "z": floats(m, 1)}
                                    for n, m in ((0, 1), (1, 0), (0, 0), (1, 1), (1, 5), (5, 1), (5, 5))))


def test_operators_of_the_importer_are_its_own(limosa, tmp_path):
    """Scan of opset 8 is made of a node that no model can have."""
    body = helper.make_graph([node("Neg", ["a"], ["b"])], "body",
                             [helper.make_tensor_value_info("a", FLOAT, [3])],
                             [helper.make_tensor_value_info("b", FLOAT, [3])])
    made = model([node("Scan", ["x"], ["y"], domain="limosa.later", num_scan_inputs=1, body=body)],
                 {"x": (FLOAT, [4, 3])}, {"y": FLOAT})
    made.opset_import.append(helper.make_opsetid("limosa.later", 1))
    onnx.save(made, tmp_path / "model.onnx")
    with pytest.raises(RuntimeError, match="Limosa's own"):
        limosa.load(tmp_path / "model.onnx")


def test_products_are_rounded_for_all(limosa, tmp_path):
    """A product with two users is no part of a multiply-add for one of them: nothing is left of x - max(x)."""
    made = model([node("Gelu", ["a"], ["x"]), node("LogSoftmax", ["x"], ["zero"], axis=0)],
                 {"a": (FLOAT, [1, 1])}, {"zero": FLOAT}, opset=20)
    onnx.save(made, tmp_path / "model.onnx")
    compiled = limosa.load(tmp_path / "model.onnx")
    assert not [a for a in floats(300) if compiled.run({"a": a.reshape(1, 1)})["zero"].any()]
