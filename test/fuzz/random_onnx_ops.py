"""Random nodes for random_onnx.py: a table of operators and how to draw each.

A rule gets a Pool and returns nodes (op, inputs, number of outputs, attributes), or None if the pool has
nothing that fits. Inputs are names; what a rule adds itself are constants.
"""

import numpy as np
from random_pool import FLOATS, INTEGERS, draw

RULES = []


def rule(weight=1):
    def add(function):
        RULES.append((weight, function))
        return function
    return add


def simple(ops, kinds, inputs=1, weight=1, **attributes):
    """Elementwise operators; attributes are drawn from (low, high)."""
    @rule(weight)
    def make(pool):
        x = pool.pick(kinds)
        if x is None:
            return None
        drawn = {k: pool.rng.uniform(*v) if isinstance(v, tuple) else v for k, v in attributes.items()}
        return [(pool.rng.choice(ops), [x] + [pool.like(x) for _ in range(inputs - 1)], 1, drawn)]


simple(["Abs", "Neg", "Relu", "Sigmoid", "Tanh", "Erf", "Softplus", "Softsign", "HardSwish", "Mish", "Identity", "Sin",
        "Cos", "Atan", "Exp", "Sqrt", "Reciprocal", "Ceil", "Floor", "Round", "Sign", "Selu", "Log"], FLOATS[:1], weight=8)
simple(["Relu", "Abs", "Neg", "Exp", "Floor", "Identity", "Sqrt"], FLOATS, weight=2)
simple(["Abs", "Sign", "Identity"], ("int32", "int64", "int8"))
simple(["LeakyRelu", "Elu", "Celu", "ThresholdedRelu"], FLOATS[:1], alpha=(0.1, 1.5))
simple(["HardSigmoid"], FLOATS[:1], alpha=(0.1, 0.5), beta=(0.2, 0.6))
simple(["Gelu"], FLOATS[:1])
simple(["Add", "Sub", "Mul", "Max", "Min"], FLOATS[:1], inputs=2, weight=8)
simple(["Add", "Sub", "Mul", "Max", "Min"], ("float64", "float16", "int32", "int64"), inputs=2, weight=3)
simple(["Div"], FLOATS[:1], inputs=2, weight=2)
simple(["Greater", "Less", "Equal", "GreaterOrEqual", "LessOrEqual"], ("float32", "int32", "int64"), inputs=2, weight=2)
simple(["And", "Or", "Xor"], ("bool",), inputs=2)
simple(["Not"], ("bool",))
simple(["BitwiseAnd", "BitwiseOr", "BitwiseXor"], ("int32", "uint8", "int64"), inputs=2)
simple(["IsNaN"], FLOATS[:1])


@rule(2)
def cast(pool):
    x = pool.pick(FLOATS + INTEGERS + ("bool",))
    kinds = {"float32": 1, "float64": 11, "int32": 6, "int64": 7, "bool": 9, "uint8": 2, "int8": 3, "float16": 10}
    if x is None:
        return None
    to = pool.rng.choice(list(kinds))
    value = pool.values[x]
    if to[0] in "iu" and value.size and (value.min() < (0 if to[0] == "u" else -100) or value.max() > 100):
        return None  # What is out of range has no value that is said.
    return [("Cast", [x], 1, {"to": kinds[to]})]


@rule(2)
def where(pool):
    c = pool.pick(("bool",))
    if c is None:
        return None
    x = pool.constant(draw(pool.rng, "float32", pool.shape(c)))
    y = pool.constant(draw(pool.rng, "float32", [1]))
    return [("Where", [c, x, y], 1, {})]


@rule()
def prelu(pool):
    x = pool.pick()
    # The slope may not broadcast x.
    slope = x and [pool.rng.choice([1, d]) for d in pool.shape(x)][pool.rng.randint(0, 2):]
    return x and [("PRelu", [x, pool.like(x, slope)], 1, {})]


@rule()
def clip(pool):
    x = pool.pick()
    low, high = (pool.constant(np.float32(v)) for v in (-0.7, 0.9))
    return x and [("Clip", [x, pool.rng.choice([low, ""]), high], 1, {})]


@rule(4)
def reduce(pool):
    x = pool.pick(FLOATS[:2] + ("int32", "int64") if pool.rng.random() < 0.3 else FLOATS[:1], least=1)
    if x is None or 0 in pool.shape(x):
        return None
    names = ["Sum", "Mean", "Max", "Min", "L1", "L2", "LogSumExp", "SumSquare", "LogSum", "Prod"]
    if pool.values[x].dtype.kind == "i":
        names = ["Sum", "Max", "Min", "Prod"]
    op = "Reduce" + pool.rng.choice(names)
    extra = [pool.ints(*pool.axes(x))] if pool.rng.random() < 0.85 else []
    return [(op, [x, *extra], 1, {"keepdims": pool.rng.randint(0, 1)})]


@rule(2)
def arg(pool):
    x = pool.pick(("float32", "int32"), least=1)
    if x is None or 0 in pool.shape(x):
        return None
    return [(pool.rng.choice(["ArgMax", "ArgMin"]), [x], 1, {
        "axis": pool.axis(x), "keepdims": pool.rng.randint(0, 1), "select_last_index": pool.rng.randint(0, 1)})]


@rule(3)
def softmax(pool):
    x = pool.pick(least=1)
    return x and [(pool.rng.choice(["Softmax", "LogSoftmax", "Hardmax"]), [x], 1, {"axis": pool.axis(x)})]


@rule(2)
def cumsum(pool):
    x = pool.pick(("float32", "int32", "float64"), least=1)
    return x and [("CumSum", [x, pool.ints(pool.axis(x))], 1,
                   {"exclusive": pool.rng.randint(0, 1), "reverse": pool.rng.randint(0, 1)})]


@rule(4)
def transpose(pool):
    x = pool.pick(FLOATS[:1] + ("int64", "bool"), least=2)
    return x and [("Transpose", [x], 1, {"perm": pool.rng.sample(range(len(pool.shape(x))), len(pool.shape(x)))})]


@rule(4)
def reshape(pool):
    x = pool.pick(FLOATS[:1] + ("int64", "bool"), least=1)
    if x is None:
        return None
    shape = list(pool.shape(x))
    if len(shape) > 1 and pool.rng.random() < 0.6:
        at = pool.rng.randrange(len(shape) - 1)
        shape[at:at + 2] = [shape[at] * shape[at + 1]]
    else:
        at = pool.rng.randrange(len(shape))
        for factor in (2, 3, 5):
            if shape[at] % factor == 0 and shape[at]:
                shape[at:at + 1] = [factor, shape[at] // factor]
                break
    if 0 not in shape:
        shape[pool.rng.randrange(len(shape))] = -1
    return [("Reshape", [x, pool.ints(*shape)], 1, {})]


@rule()
def flatten(pool):
    x = pool.pick(least=1)
    return x and [("Flatten", [x], 1, {"axis": pool.rng.randint(0, len(pool.shape(x)))})]


@rule(2)
def unsqueeze(pool):
    x = pool.pick(FLOATS[:1] + ("int64",), rank=(0, 4))
    return x and [("Unsqueeze", [x, pool.ints(pool.rng.randint(0, len(pool.shape(x))))], 1, {})]


@rule(2)
def squeeze(pool):
    ones = [n for n, a in pool.values.items() if 1 in a.shape]
    if not ones:
        return None
    x = pool.rng.choice(ones)
    return [("Squeeze", [x, pool.ints(pool.shape(x).index(1))], 1, {})]


@rule(3)
def concat(pool):
    x = pool.pick(FLOATS[:1] + ("int64",), least=1)
    if x is None:
        return None
    axis = pool.axis(x)
    shape = list(pool.shape(x))
    shape[axis] = pool.rng.randint(0, 4)
    inputs = [x, pool.like(x, shape)] + ([x] if pool.rng.random() < 0.3 else [])
    pool.rng.shuffle(inputs)
    return [("Concat", inputs, 1, {"axis": axis})]


@rule(2)
def split(pool):
    x = pool.pick(least=1)
    if x is None:
        return None
    axis = pool.axis(x)
    extent = pool.shape(x)[axis]
    if extent < 2:
        return None
    cut = pool.rng.randint(1, extent - 1)
    return [("Split", [x, pool.ints(cut, extent - cut)], 2, {"axis": axis})]


@rule(4)
def slice_(pool):
    x = pool.pick(FLOATS[:1] + ("int64", "bool"), least=1)
    if x is None:
        return None
    axes = pool.axes(x)
    bounds = [sorted(pool.rng.randint(-d - 1, d + 1) for _ in range(2)) for d in (pool.shape(x)[a] for a in axes)]
    steps = [pool.rng.choice([1, 1, 2, -1, -2]) for _ in axes]
    starts = [b[0] if s > 0 else b[1] for b, s in zip(bounds, steps)]
    ends = [b[1] if s > 0 else b[0] for b, s in zip(bounds, steps)]
    return [("Slice", [x, pool.ints(*starts), pool.ints(*ends), pool.ints(*axes), pool.ints(*steps)], 1, {})]


@rule(2)
def pad(pool):
    x = pool.pick(least=1)
    if x is None:
        return None
    shape = pool.shape(x)
    mode = pool.rng.choice(["constant", "constant", "reflect", "edge", "wrap"])
    most = [min(3, d - 1) if mode != "constant" else 3 for d in shape] * 2
    if min(most) < 0:
        return None
    pads = [pool.rng.randint(-1 if mode == "constant" and d > 3 else 0, m) for m, d in zip(most, shape * 2)]
    extra = [pool.constant(np.float32(0.5))] if mode == "constant" and pool.rng.random() < 0.5 else []
    return [("Pad", [x, pool.ints(*pads), *extra], 1, {"mode": mode})]


@rule(3)
def gather(pool):
    x = pool.pick(FLOATS[:1] + ("int64",), rank=(1, 4))
    if x is None:
        return None
    axis = pool.axis(x)
    extent = pool.shape(x)[axis]
    if not extent:
        return None
    shape = pool.rng.choice([(), (3,), (2, 2), (0,)])
    where_ = np.array([pool.rng.randint(-extent, extent - 1) for _ in range(int(np.prod(shape)))]).reshape(shape)
    return [("Gather", [x, pool.constant(where_.astype(pool.rng.choice([np.int64, np.int32])))], 1, {"axis": axis})]


@rule(2)
def gather_elements(pool):
    x = pool.pick(rank=(1, 4))
    if x is None or 0 in pool.shape(x):
        return None
    axis = pool.axis(x)
    shape = [pool.rng.randint(1, d) for d in pool.shape(x)]
    extent = pool.shape(x)[axis]
    where_ = np.array([pool.rng.randint(-extent, extent - 1) for _ in range(int(np.prod(shape)))]).reshape(shape)
    if pool.rng.random() < 0.5:
        return [("GatherElements", [x, pool.constant(where_)], 1, {"axis": axis})]
    # One update at most per element: the order of several is not defined.
    line = pool.rng.sample(range(extent), shape[axis])
    spread = np.array(line).reshape([-1 if d == axis % len(shape) else 1 for d in range(len(shape))])
    return [("ScatterElements", [x, pool.constant(np.broadcast_to(spread, shape).copy()),
                                 pool.constant(draw(pool.rng, "float32", shape))], 1,
             {"axis": axis, "reduction": pool.rng.choice(["none", "add", "mul", "max"])})]


@rule(2)
def expand(pool):
    x = pool.pick(size=500, rank=(0, 4))
    if x is None:
        return None
    shape = [pool.rng.randint(1, 3) if d == 1 else d for d in pool.shape(x)]
    if pool.rng.random() < 0.5:
        return [("Expand", [x, pool.ints(*([2] if len(shape) < 4 else []), *shape)], 1, {})]
    return shape and [("Tile", [x, pool.ints(*(pool.rng.randint(1, 2) for _ in shape))], 1, {})] or None


@rule(4)
def matmul(pool):
    x = pool.pick(least=1)
    if x is None:
        return None
    shape = pool.shape(x)
    k, n = shape[-1], pool.rng.choice([1, 3, 8, 17, 33])
    batch = list(shape[:-2]) if len(shape) > 2 and pool.rng.random() < 0.4 else []
    w = pool.constant(draw(pool.rng, "float32", [*batch, k, n]) / max(k, 1) ** 0.5)
    return [("MatMul", [x, w], 1, {})]


@rule(2)
def gemm(pool):
    x = pool.pick(rank=2)
    if x is None:
        return None
    trans_a, trans_b = pool.rng.randint(0, 1), pool.rng.randint(0, 1)
    m, k = pool.shape(x)[::-1] if trans_a else pool.shape(x)
    if not k:
        return None  # onnxruntime forgets beta.
    n = pool.rng.choice([1, 5, 16, 31])
    w = draw(pool.rng, "float32", (n, k) if trans_b else (k, n)) / max(k, 1) ** 0.5
    c = [pool.constant(draw(pool.rng, "float32", pool.rng.choice([(n,), (1, n), (m, 1), (m, n), ()])))]
    return [("Gemm", [x, pool.constant(w), *(c if pool.rng.random() < 0.7 else [])], 1,
             {"transA": trans_a, "transB": trans_b, "alpha": 0.5, "beta": 1.5})]


def windows(pool, x, kernel=None):
    """Attributes of a window over the spatial dimensions of x, or None if one is too small."""
    spatial = pool.shape(x)[2:]
    kernel = kernel or [pool.rng.randint(1, min(3, d)) if d else 0 for d in spatial]
    dilations = [pool.rng.choice([1, 1, 2]) for _ in spatial]
    pads = [pool.rng.randint(0, k // 2) for k in kernel] * 2
    if any(d + p + p < (k - 1) * l + 1 for d, k, l, p in zip(spatial, kernel, dilations, pads)):
        return None
    return {"kernel_shape": kernel, "strides": [pool.rng.choice([1, 1, 2, 3]) for _ in spatial],
            "dilations": dilations, "pads": pads}


@rule(4)
def conv(pool):
    x = pool.pick(rank=(3, 5))
    if x is None or 0 in pool.shape(x):
        return None
    channels = pool.shape(x)[1]
    attributes = windows(pool, x)
    if attributes is None:
        return None
    groups = pool.rng.choice([g for g in range(1, channels + 1) if channels % g == 0])
    out = groups * pool.rng.choice([1, 1, 2, 5])
    transposed = pool.rng.random() < 0.3
    shape = [channels, out // groups] if transposed else [out, channels // groups]
    scale = (channels / groups * np.prod(attributes["kernel_shape"])) ** 0.5
    w = pool.constant(draw(pool.rng, "float32", shape + attributes["kernel_shape"]) / np.float32(scale))
    b = [pool.constant(draw(pool.rng, "float32", [out]))] if pool.rng.random() < 0.6 else []
    return [("ConvTranspose" if transposed else "Conv", [x, w, *b], 1, {**attributes, "group": groups})]


@rule(3)
def pool_(pool):
    x = pool.pick(rank=(3, 5))
    if x is None or 0 in pool.shape(x):
        return None
    op = pool.rng.choice(["MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool", "LpPool"])
    if op.startswith("Global"):
        return [(op, [x], 1, {})]
    attributes = windows(pool, x)
    if attributes is None:
        return None
    if op == "AveragePool":
        attributes["count_include_pad"] = pool.rng.randint(0, 1)
    if op != "LpPool":
        attributes["ceil_mode"] = pool.rng.randint(0, 1)
    return [(op, [x], 1, attributes)]


@rule(3)
def norm(pool):
    x = pool.pick(rank=(2, 5))
    if x is None or 0 in pool.shape(x):
        return None
    channels = pool.shape(x)[1]
    def c(positive=False, n=channels):
        array = draw(pool.rng, "float32", [n])
        return pool.constant(np.abs(array) + np.float32(0.5) if positive else array)
    op = pool.rng.choice(["BatchNormalization", "LayerNormalization", "InstanceNormalization", "LRN",
                          "GroupNormalization", "LpNormalization", "MeanVarianceNormalization"])
    if op == "BatchNormalization":
        return [(op, [x, c(), c(), c(), c(True)], 1, {})]
    if op == "LayerNormalization":
        return [(op, [x, c(n=pool.shape(x)[-1])], 1, {"axis": -1})]
    if op == "LpNormalization":
        return [(op, [x], 1, {"axis": pool.axis(x), "p": pool.rng.randint(1, 2)})]
    if len(pool.shape(x)) < 3:
        return None
    if op == "InstanceNormalization":
        return [(op, [x, c(), c()], 1, {})]
    if op == "GroupNormalization":
        if pool.opset < 21:
            return None  # One scale per group: the number of channels would have to be known.
        groups = pool.rng.choice([g for g in range(1, channels + 1) if channels % g == 0])
        return [(op, [x, c(), c()], 1, {"num_groups": groups})]
    if len(pool.shape(x)) != 4:
        return None
    return [(op, [x], 1, {"size": pool.rng.choice([1, 3, 5])} if op == "LRN" else {})]


@rule(2)
def resize(pool):
    x = pool.pick(rank=4, size=4000)
    if x is None or 0 in pool.shape(x):
        return None
    mode = pool.rng.choice(["nearest", "linear", "cubic"])
    ways = ["half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel"]
    attributes = {"mode": mode, "coordinate_transformation_mode": pool.rng.choice(ways)}
    if mode == "nearest":
        attributes["nearest_mode"] = pool.rng.choice(["floor", "ceil", "round_prefer_floor", "round_prefer_ceil"])
    if pool.rng.random() < 0.5:
        sizes = [*pool.shape(x)[:2], *(max(1, d + pool.rng.randint(-2, 4)) for d in pool.shape(x)[2:])]
        return [("Resize", [x, "", "", pool.ints(*sizes)], 1, attributes)]
    scales = pool.constant(np.array([1, 1, pool.rng.choice([0.5, 2, 1.5]), pool.rng.choice([2, 3, 1])], np.float32))
    return [("Resize", [x, "", scales], 1, attributes)]


@rule()
def blocks(pool):
    x = pool.pick(rank=4)
    if x is None:
        return None
    _, c, h, w = pool.shape(x)
    if c and c % 4 == 0:
        return [("DepthToSpace", [x], 1, {"blocksize": 2, "mode": pool.rng.choice(["DCR", "CRD"])})]
    return [("SpaceToDepth", [x], 1, {"blocksize": 2})] if h % 2 == 0 and w % 2 == 0 and h * w else None


@rule(2)
def topk(pool):
    x = pool.pick(rank=(1, 4))
    if x is None:
        return None
    axis = pool.axis(x)
    if not pool.shape(x)[axis]:
        return None
    return [("TopK", [x, pool.ints(pool.rng.randint(1, pool.shape(x)[axis]))], 2,
             {"axis": axis, "largest": pool.rng.randint(0, 1)})]


@rule()
def triangle(pool):
    x = pool.pick(rank=(2, 4))
    return x and [("Trilu", [x, pool.constant(np.int64(pool.rng.randint(-2, 2)))], 1, {"upper": pool.rng.randint(0, 1)})]


@rule(2)
def einsum(pool):
    x = pool.pick(rank=3, size=2000)
    if x is None:
        return None
    equation = pool.rng.choice(["abc,abd->acd", "abc,dbc->ad", "abc,acb->abc", "abc->ca", "abc,b->ac"])
    size = dict(zip("abc", pool.shape(x)), d=3)
    terms = equation.split("->")[0].split(",")
    extra = [pool.constant(draw(pool.rng, "float32", [size[s] for s in terms[1]]))] if len(terms) > 1 else []
    return [("Einsum", [x, *extra], 1, {"equation": equation})]


@rule(2)
def shape(pool):
    x = pool.pick(FLOATS[:1], least=1, size=200)
    if x is None:
        return None
    s, filled = pool.name(), pool.name()
    return [("Shape", [x], [s], {}),
            ("ConstantOfShape", [s], [filled], {}),
            ("Add", [filled, x], 1, {})]


@rule(2)
def data_dependent(pool):
    x = pool.pick(rank=(1, 3), size=300)
    if x is None or 0 in pool.shape(x):
        return None
    op = pool.rng.choice(["NonZero", "Compress", "Unique"])
    if op == "Compress":
        axis = pool.axis(x)
        keep = draw(pool.rng, "bool", [pool.shape(x)[axis]])
        return [(op, [x, pool.constant(keep)], 1, {"axis": axis})]
    positive = pool.name()
    if op == "NonZero":
        return [("Relu", [x], [positive], {}), (op, [positive], 1, {})]
    return [("Floor", [x], [positive], {}), (op, [positive], 4, {"sorted": 1})]


@rule()
def onehot(pool):
    x = pool.pick(("int64", "int32"), rank=(0, 3), size=200)
    return x and [("OneHot", [x, pool.ints(5), pool.constant(np.array([-1, 2], np.float32))], 1,
                   {"axis": pool.rng.choice([-1, 0])})]


@rule(2)
def quantise(pool):
    x = pool.pick(least=1)
    if x is None:
        return None
    kind = pool.rng.choice([np.uint8, np.int8])
    scale, point = pool.constant(np.float32(0.05)), pool.constant(kind(pool.rng.randint(0, 20)))
    q = pool.name()
    return [("QuantizeLinear", [x, scale, point], [q], {}), ("DequantizeLinear", [q, scale, point], 1, {})]


@rule(2)
def recurrent(pool):
    x = pool.pick(rank=3, size=2000)
    if x is None or 0 in pool.shape(x):
        return None
    op, gates, states = pool.rng.choice([("LSTM", 4, 2), ("GRU", 3, 1), ("RNN", 1, 1)])
    hidden, way = pool.rng.choice([2, 5, 16]), pool.rng.choice(["forward", "reverse", "bidirectional"])
    d = 2 if way == "bidirectional" else 1
    def c(*sizes):
        return pool.constant(draw(pool.rng, "float32", sizes) * np.float32(0.4))
    attributes = {"hidden_size": hidden, "direction": way}
    if op == "GRU":
        attributes["linear_before_reset"] = pool.rng.randint(0, 1)
    return [(op, [x, c(d, gates * hidden, pool.shape(x)[2]), c(d, gates * hidden, hidden), c(d, 2 * gates * hidden)],
             1 + states, attributes)]
