"""The reference interpreter against numpy and PyTorch, op by op and dtype by dtype."""

import itertools

import numpy as np
import pytest

from core_ops import BITS, Case, combiner, exprs, run

torch = pytest.importorskip("torch")

RNG = np.random.default_rng(7)
FLOATS = ["f32", "f64", "f16"]
INTS = [s + str(b) for s in ("i", "ui") for b in (8, 16, 32, 64)]
NUMPY = {"f16": np.float16, "f32": np.float32, "f64": np.float64, "i1": np.bool_,
         **{f"i{b}": f"int{b}" for b in (8, 16, 32, 64)},
         **{f"ui{b}": f"uint{b}" for b in (8, 16, 32, 64)}}
EPSILON = {"f16": 2e-3, "f32": 3e-7, "f64": 1e-15}
# What PyTorch computes in f32 is only that exact.
LOOSE = {"f16": 4e-3, "f32": 2e-5, "f64": 1e-10}


def data(dtype, shape):
    if dtype == "i1":
        return RNG.integers(0, 2, shape).astype(np.bool_)
    if dtype in FLOATS:
        return RNG.standard_normal(shape).astype(NUMPY[dtype])
    info = np.iinfo(NUMPY[dtype])
    low, high = max(info.min, -100), min(info.max, 100)
    return RNG.integers(low, high, shape).astype(NUMPY[dtype])


CASES = []


def add(case, *expected):
    case.expected = expected
    CASES.append(case)


def binary(op, dtype, a, b, expected, tolerance=0.0):
    add(Case(op, [a, b], [(dtype, a.shape)], tolerance=tolerance, name=f"{op}-{dtype}"), expected)


def elementwise():
    s = (5, 7)
    for t in FLOATS + INTS:
        a, b = data(t, s), data(t, s)
        with np.errstate(all="ignore"):
            binary("add", t, a, b, a + b)
            binary("mul", t, a, b, a * b)
            binary("min", t, a, b, np.minimum(a, b))
            binary("max", t, a, b, np.maximum(a, b))
            if t in FLOATS:
                a, b = a.copy(), b.copy()
                b[0, 0], a[0, 1] = 0, np.nan
                binary("div", t, a, b, a / b)
                binary("rem", t, a, b, np.fmod(a, b))
                p = np.abs(a)
                binary("pow", t, p, b, np.power(p.astype("f8"), b.astype("f8")).astype(p.dtype), EPSILON[t])
                binary("min", t, a, b, np.minimum(a, b))
            else:
                b = b.copy()
                b[0, 0] = 0
                exact = [[0 if y == 0 else int(abs(x) // abs(y)) * (1 if (x < 0) == (y < 0) else -1)
                          for x, y in zip(r, q)] for r, q in zip(a.tolist(), b.tolist())]
                rest = [[0 if y == 0 else x - y * e for x, y, e in zip(r, q, f)]
                        for r, q, f in zip(a.tolist(), b.tolist(), exact)]
                binary("div", t, a, b, np.array(exact).astype(a.dtype))
                binary("rem", t, a, b, np.array(rest).astype(a.dtype))
                e = np.abs(b) % 9
                binary("pow", t, a, e.astype(a.dtype), np.power(a, e.astype(a.dtype)))
                binary("and", t, a, b, a & b)
                binary("or", t, a, b, a | b)
                binary("xor", t, a, b, a ^ b)
                width = a.dtype.itemsize * 8
                n = (np.abs(b.astype("i8")) % width).astype(a.dtype)
                binary("shl", t, a, n, a << n)
                binary("shr", t, a, n, a >> n)
                binary("shl", t, a, np.full_like(a, width), np.zeros_like(a))
                binary("shr", t, a, np.full_like(a, width), np.where(a < 0, -1, 0).astype(a.dtype))
            add(Case("neg", [a], [(t, s)], name=f"neg-{t}"), -a)
            add(Case("abs", [a], [(t, s)], name=f"abs-{t}"), np.abs(a))
            for d, f in dict(eq=np.equal, ne=np.not_equal, lt=np.less, le=np.less_equal,
                             gt=np.greater, ge=np.greater_equal).items():
                add(Case("compare", [a, b], [("i1", s)], {"direction": f"#limosa.compare<{d}>"},
                         name=f"compare-{d}-{t}"), f(a, b))
            c = data("i1", s)
            add(Case("select", [c, a, b], [(t, s)], name=f"select-{t}"), np.where(c, a, b))
    lowest = np.array([-128, -128, 127], np.int8)
    binary("div", "i8", lowest, np.array([-1, 2, -1], np.int8), np.array([-128, -64, -127], np.int8))
    binary("pow", "i32", np.array([1, -1, -1, 2, 0], np.int32), np.array([-3, -3, -2, -1, -1], np.int32),
           np.array([1, -1, 1, 0, 0], np.int32))
    add(Case("abs", [lowest], [("i8", (3,))]), np.array([-128, -128, 127], np.int8))
    for t in FLOATS:
        a = data(t, s) * 2
        wide = a.astype("f8")
        for op, f in dict(floor=np.floor, round_even=np.rint, exp=np.exp, sin=np.sin, cos=np.cos,
                          tanh=np.tanh).items():
            add(Case(op, [a], [(t, s)], tolerance=EPSILON[t], name=f"{op}-{t}"), f(wide).astype(a.dtype))
        add(Case("erf", [a], [(t, s)], tolerance=EPSILON[t], name=f"erf-{t}"),
            torch.erf(torch.from_numpy(wide)).numpy().astype(a.dtype))
        with np.errstate(all="ignore"):
            for op, f in dict(log=np.log, sqrt=np.sqrt).items():
                add(Case(op, [a], [(t, s)], tolerance=EPSILON[t], name=f"{op}-{t}"), f(wide).astype(a.dtype))


def conversions():
    s = (64,)
    for f, t in itertools.product(FLOATS + INTS + ["i1"], repeat=2):
        a = data(f, s)
        if f in FLOATS:
            a = a * a.dtype.type(3)
            if t in INTS:
                info = np.iinfo(NUMPY[t])
                expected = np.clip(np.trunc(a.astype("f8")), info.min, info.max).astype(NUMPY[t])
            else:
                expected = a.astype(NUMPY[t])
        else:
            expected = a.astype(NUMPY[t])
        add(Case("convert", [a], [(t, s)], name=f"convert-{f}-{t}"), expected)
    a = np.concatenate([RNG.standard_normal(200) * 10.0 ** RNG.integers(-12, 6, 200),
                        [0, -0.0, 448, 464, 465, 1e9, -1e9, 57344]]).astype(np.float32)
    names = {"bf16": torch.bfloat16, "f8E4M3FN": torch.float8_e4m3fn, "f8E5M2": torch.float8_e5m2,
             "f8E4M3FNUZ": torch.float8_e4m3fnuz, "f8E5M2FNUZ": torch.float8_e5m2fnuz}
    for t, torch_type in names.items():
        x = torch.from_numpy(a)
        if t != "bf16":  # saturating
            limit = torch.finfo(torch_type).max
            x = x.clamp(-limit, limit)
        bits = x.to(torch_type).view(torch.uint16 if t == "bf16" else torch.uint8).numpy()
        add(Case("convert", [a], [(t, a.shape)], name=f"convert-f32-{t}"), bits)
        every = np.arange(65536 if t == "bf16" else 256).astype(BITS[t])
        back = torch.from_numpy(every.view(np.int16 if t == "bf16" else np.int8)).view(torch_type)
        add(Case("convert", [(every, t)], [("f32", every.shape)], name=f"convert-{t}-f32"),
            back.to(torch.float32).numpy())
    x, y = (torch.randn(50).to(torch.bfloat16) for _ in range(2))
    as_bits = lambda v: v.view(torch.uint16).numpy()  # noqa: E731
    for op, f in dict(add=torch.add, mul=torch.mul, div=torch.div, max=torch.maximum).items():
        add(Case(op, [(as_bits(x), "bf16"), (as_bits(y), "bf16")], [("bf16", (50,))], name=f"{op}-bf16"),
            as_bits(f(x, y)))
    f = data("f32", (9,))
    add(Case("bitcast", [f], [("i32", (9,))]), f.view(np.int32))


def data_movement():
    for t in ["f32", "f64", "f16", "i8", "ui16", "i1"]:
        a = data(t, (3, 4, 5))
        add(Case("reshape", [a], [(t, (6, 10))]), a.reshape(6, 10))
        add(Case("transpose", [a], [(t, (5, 3, 4))], {"perm": [2, 0, 1]}), a.transpose(2, 0, 1))
        b = data(t, (3, 1, 5))
        add(Case("broadcast", [b], [(t, (2, 3, 4, 5))], {"dims": [1, 2, 3]}),
            np.broadcast_to(b, (2, 3, 4, 5)))
        add(Case("slice", [a], [(t, (2, 4, 2))], {"starts": exprs([0, 3, 1]), "steps": [2, -1, 3]}),
            a[::2, ::-1, 1::3])
        v = data(t, ())
        p = np.full((3 + 1, 4 + 3 + 2, 5), v)
        p[1:, 2::2][:, :4] = a
        add(Case("pad", [a, v], [(t, p.shape)], {"low": exprs([1, 2, 0]), "high": exprs([0, 0, 0]),
                                                "interior": [0, 1, 0]}), p)
        c = data(t, (3, 2, 5))
        add(Case("concat", [a, c, a], [(t, (3, 10, 5))], {"dim": 1}), np.concatenate([a, c, a], 1))
        i = RNG.integers(-2, 6, (7, 1))
        add(Case("gather", [a, i], [(t, (7, 3, 5))], {"axes": [1], "batch": 0}),
            a[:, np.clip(i[:, 0], 0, 3)].transpose(1, 0, 2))
        i = RNG.integers(0, 4, (3, 6, 2)).astype(np.int32)
        add(Case("gather", [a, i], [(t, (3, 6))], {"axes": [2, 1], "batch": 1}),
            np.stack([a[n, i[n, :, 1], i[n, :, 0]] for n in range(3)]))
        u = data(t, (2, 2, 5))
        w = a.copy()
        w[1:3, 2:4] = u
        add(Case("update_slice", [a, u, np.array([9, 2, -3])], [(t, a.shape)]), w)
        u = data(t, (8, 3, 5))
        i = RNG.integers(-1, 5, (8, 1))
        w = a.copy()
        for k in range(8):
            if 0 <= i[k, 0] < 4:
                w[:, i[k, 0]] = np.maximum(w[:, i[k, 0]], u[k])
        body = f"{{\n^bb0(%o: tensor<{t}>, %n: tensor<{t}>):\n%m = limosa.max %o, %n : " \
               f"(tensor<{t}>, tensor<{t}>) -> tensor<{t}>\nlimosa.yield %m : tensor<{t}>\n}}"
        add(Case("scatter", [a, i, u], [(t, a.shape)], {"axes": [1], "batch": 0}, body), w)
        w = a.copy()
        for k in range(8):
            if 0 <= i[k, 0] < 4:
                w[:, i[k, 0]] = u[k]
        body = f"{{\n^bb0(%o: tensor<{t}>, %n: tensor<{t}>):\nlimosa.yield %n : tensor<{t}>\n}}"
        add(Case("scatter", [a, i, u], [(t, a.shape)], {"axes": [1], "batch": 0}, body, name="scatter-replace"), w)
    for t in ["f32", "i8", "ui64"]:
        add(Case("iota", [], [(t, (3, 4))], {"dim": 1}), np.broadcast_to(np.arange(4).astype(NUMPY[t]), (3, 4)))


ARGMAX = """{
^bb0(%m: tensor<f32>, %k: tensor<i64>, %x: tensor<f32>, %i: tensor<i64>):
  %gt = limosa.compare %x, %m {direction = #limosa.compare<gt>} : (tensor<f32>, tensor<f32>) -> tensor<i1>
  %a = limosa.select %gt, %x, %m : (tensor<i1>, tensor<f32>, tensor<f32>) -> tensor<f32>
  %b = limosa.select %gt, %i, %k : (tensor<i1>, tensor<i64>, tensor<i64>) -> tensor<i64>
  limosa.yield %a, %b : tensor<f32>, tensor<i64>
}"""


def reductions():
    one = lambda t, v: np.array(v, NUMPY[t])  # noqa: E731
    segments = {"operandSegmentSizes": "array<i32: 1, 1>"}
    for t in ["f32", "f64", "f16", "i32", "i8", "ui8", "ui64"]:
        tolerance = LOOSE.get(t, 0)
        for shape, dims in [((3, 4, 5), [1]), ((3, 4, 5), [0, 2]), ((2, 130), [1]), ((130, 2), [0]),
                            ((7,), [0]), ((3, 4), []), ((2, 3, 1000), [0, 2]), ((2, 0), [1])]:
            a = data(t, shape)
            kept = tuple(s for d, s in enumerate(shape) if d not in dims)
            for op, f, init in [("add", np.sum, 0), ("max", np.max, -5), ("mul", np.prod, 1)]:
                if op == "mul" and (a.size > 100 or t == "f16"):
                    continue
                if t.startswith("u") and init < 0:
                    init = 3
                wide = a.astype("f8") if t in FLOATS else a
                expected = f(wide, axis=tuple(dims), initial=wide.dtype.type(init))
                if t not in FLOATS and op != "max":
                    expected = f(a, axis=tuple(dims), initial=init, dtype=a.dtype)
                add(Case("reduce", [a, one(t, init)], [(t, kept)], {"dims": dims, **segments},
                         combiner(op, [t]), tolerance, f"reduce-{op}-{t}"),
                    np.asarray(expected).astype(a.dtype))
        a = data(t, (3, 6, 4))
        expected = np.cumsum(a, 1, dtype="f8" if t in FLOATS else a.dtype).astype(a.dtype)
        add(Case("scan", [a, one(t, 0)], [(t, a.shape)],
                 {"dim": 1, "exclusive": False, "reverse": False, **segments}, combiner("add", [t]), tolerance),
            expected)
        r = np.flip(np.cumsum(np.flip(a, 1), 1, dtype="f8" if t in FLOATS else a.dtype), 1).astype(a.dtype)
        r = np.concatenate([r[:, 1:], np.zeros_like(r[:, :1])], 1)
        add(Case("scan", [a, one(t, 0)], [(t, a.shape)],
                 {"dim": 1, "exclusive": True, "reverse": True, **segments}, combiner("add", [t]), tolerance,
                 "scan-exclusive-reverse"), r)
    for t in ["f32", "f64"]:
        x = data(t, (2, 3, 9, 8))
        low = np.array(-np.inf, NUMPY[t])
        attrs = {"sizes": [1, 1, 3, 2], "strides": [1, 1, 2, 1], "dilations": [1, 1, 1, 2],
                 "pad_low": exprs([0, 0, 1, 0]), "pad_high": exprs([0, 0, 1, 0]), **segments}
        expected = torch.nn.functional.max_pool2d(torch.from_numpy(x), (3, 2), (2, 1), (1, 0), (1, 2)).numpy()
        add(Case("window", [x, low], [(t, expected.shape)], attrs, combiner("max", [t]), name="window-max"), expected)
        attrs = {"sizes": [1, 1, 3, 3], "strides": [1, 1, 2, 2], "dilations": [1, 1, 1, 1],
                 "pad_low": exprs([0, 0, 1, 1]), "pad_high": exprs([0, 0, 1, 1]), **segments}
        expected = torch.nn.functional.avg_pool2d(torch.from_numpy(x), 3, 2, 1, divisor_override=1).numpy()
        add(Case("window", [x, one(t, 0)], [(t, expected.shape)], attrs, combiner("add", [t]), LOOSE[t],
                 "window-sum"), expected)
    x = data("f32", (6, 600))
    i = np.broadcast_to(np.arange(600), x.shape).copy()
    add(Case("reduce", [x, i, np.array(-np.inf, np.float32), np.array(0)], [("f32", (6,)), ("i64", (6,))],
             {"dims": [1], "operandSegmentSizes": "array<i32: 2, 2>"}, ARGMAX, name="argmax"),
        x.max(1), x.argmax(1))
    add(Case("reduce", [x, x, np.array(0, np.float32), np.array(-9, np.float32)], [("f32", (6,)), ("f32", (6,))],
             {"dims": [1], "operandSegmentSizes": "array<i32: 2, 2>"},
             combiner("add", ["f32", "f32"]).replace("%y1 = limosa.add", "%y1 = limosa.max"), 2e-6, "sum-and-max"),
        x.sum(1, dtype="f8").astype("f4"), x.max(1))


def sorting():
    for t, direction in itertools.product(["f32", "i64", "ui8", "f16"], ["lt", "gt"]):
        a = (data(t, (4, 50, 3)) // NUMPY_TYPE(t)(1)).astype(NUMPY[t])
        i = np.broadcast_to(np.arange(50).reshape(1, 50, 1), a.shape).astype(np.int32)
        key = -a.astype("f8") if direction == "gt" else a.astype("f8")
        order = np.argsort(key, 1, kind="stable")
        body = f"{{\n^bb0(%a: tensor<{t}>, %b: tensor<{t}>, %i: tensor<i32>, %j: tensor<i32>):\n" \
               f"%c = limosa.compare %a, %b {{direction = #limosa.compare<{direction}>}} : " \
               f"(tensor<{t}>, tensor<{t}>) -> tensor<i1>\nlimosa.yield %c : tensor<i1>\n}}"
        for keep in (50, 5):
            add(Case("sort", [a, i], [(t, (4, keep, 3)), ("i32", (4, keep, 3))], {"dim": 1}, body,
                     name=f"sort-{direction}-{t}"),
                np.take_along_axis(a, order, 1)[:, :keep], order[:, :keep].astype(np.int32))
    # A comparison that is no bare compare: by absolute value.
    a = data("f32", (40,))
    body = """{
^bb0(%a: tensor<f32>, %b: tensor<f32>):
  %x = limosa.abs %a : (tensor<f32>) -> tensor<f32>
  %y = limosa.abs %b : (tensor<f32>) -> tensor<f32>
  %c = limosa.compare %x, %y {direction = #limosa.compare<lt>} : (tensor<f32>, tensor<f32>) -> tensor<i1>
  limosa.yield %c : tensor<i1>
}"""
    add(Case("sort", [a], [("f32", (40,))], {"dim": 0}, body, name="sort-abs"), a[np.argsort(np.abs(a))])


def NUMPY_TYPE(t):
    return np.dtype(NUMPY[t]).type


def products():
    for t, out in [("f32", "f32"), ("f64", "f64"), ("f16", "f16"), ("f16", "f32"), ("i32", "i32"), ("ui8", "ui8"),
                   ("i64", "i64"), ("i8", "i32")]:
        for m, k, n in [(3, 4, 5), (130, 300, 70), (1, 7, 1), (4, 0, 3)]:
            a, b = data(t, (2, m, k)), data(t, (k, 2, n))
            expected = np.einsum("bmk,kbn->bmn", a.astype("f8" if t in FLOATS else "i8"),
                                 b.astype("f8" if t in FLOATS else "i8")).astype(NUMPY[out])
            add(Case("contract", [a, b], [(out, expected.shape)],
                     {"lhs_batch": [0], "rhs_batch": [1], "lhs_contract": [2], "rhs_contract": [0]},
                     tolerance=EPSILON.get(out, 0), name=f"contract-{t}-{out}"), expected)
    a, b = data("ui8", (5, 6)), data("i8", (6, 4))
    none = {"lhs_batch": [], "rhs_batch": []}
    add(Case("contract", [a, b], [("i32", (5, 4))], {**none, "lhs_contract": [1], "rhs_contract": [0]},
             name="contract-mixed"), a.astype("i4") @ b.astype("i4"))
    a, b = data("f64", (2, 3, 4)), data("f64", (4, 5, 2))
    add(Case("contract", [a, b], [("f64", (3, 5))], {**none, "lhs_contract": [0, 2], "rhs_contract": [2, 0]},
             tolerance=1e-14), np.einsum("imk,kni->mn", a, b))
    for t in ["f32", "f64"]:
        convolutions(t)


def convolutions(t):
    def conv(x, f, stride, pad, dilation=1, groups=1, rank=2, **changes):
        fn = [None, torch.nn.functional.conv1d, torch.nn.functional.conv2d, torch.nn.functional.conv3d][rank]
        expected = fn(torch.from_numpy(x), torch.from_numpy(f), None, stride, pad, dilation, groups).numpy()
        attrs = {"strides": [stride] * rank, "pad_low": exprs([pad] * rank), "pad_high": exprs([pad] * rank),
                 "lhs_dilation": [1] * rank, "rhs_dilation": [dilation] * rank,
                 "feature_groups": groups, "batch_groups": 1, **changes}
        add(Case("conv", [x, f], [(t, expected.shape)], attrs, tolerance=LOOSE[t], name=f"conv-{t}"), expected)

    conv(data(t, (2, 3, 9, 8)), data(t, (5, 3, 3, 3)), 1, 1)
    conv(data(t, (2, 4, 9, 8)), data(t, (6, 2, 3, 2)), 2, 1, groups=2)
    conv(data(t, (1, 8, 12, 12)), data(t, (8, 1, 3, 3)), 1, 2, dilation=2, groups=8)
    conv(data(t, (2, 3, 20)), data(t, (4, 3, 5)), 3, 2, rank=1)
    conv(data(t, (1, 2, 5, 6, 7)), data(t, (3, 2, 2, 3, 2)), 1, 1, rank=3)
    # A transposed convolution is one over a dilated input.
    x, f = data(t, (2, 3, 5, 6)), data(t, (3, 4, 3, 3))
    expected = torch.nn.functional.conv_transpose2d(torch.from_numpy(x), torch.from_numpy(f), None, 2, 1, 1).numpy()
    flipped = np.ascontiguousarray(np.flip(f, (2, 3)).transpose(1, 0, 2, 3))
    add(Case("conv", [x, flipped], [(t, expected.shape)],
             {"strides": [1, 1], "pad_low": exprs([1, 1]), "pad_high": exprs([2, 2]), "lhs_dilation": [2, 2],
              "rhs_dilation": [1, 1], "feature_groups": 1, "batch_groups": 1}, tolerance=LOOSE[t],
             name=f"conv-transposed-{t}"), expected)
    # Batch groups: output channel o reads batch block o * B / O.
    x, f = data(t, (4, 3, 6, 6)), data(t, (6, 3, 3, 3))
    parts = [torch.nn.functional.conv2d(torch.from_numpy(x[2 * g:2 * g + 2]), torch.from_numpy(f[3 * g:3 * g + 3]))
             for g in range(2)]
    expected = torch.cat(parts, 1).numpy()
    add(Case("conv", [x, f], [(t, expected.shape)],
             {"strides": [1, 1], "pad_low": exprs([0, 0]), "pad_high": exprs([0, 0]), "lhs_dilation": [1, 1],
              "rhs_dilation": [1, 1], "feature_groups": 1, "batch_groups": 2}, tolerance=LOOSE[t],
             name=f"conv-batch-groups-{t}"), expected)


elementwise()
conversions()
data_movement()
reductions()
sorting()
products()


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    run(CASES, tmp_path_factory.mktemp("cases"))


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_op(results, case):
    assert not case.error, case.error
    for actual, expected in zip(case.outputs, case.expected, strict=True):
        assert actual.shape == expected.shape
        assert actual.dtype == expected.dtype
        if case.tolerance == 0:
            np.testing.assert_array_equal(actual, expected)
        else:
            finite = np.isfinite(expected)
            scale = np.abs(expected[finite]).max(initial=1)
            np.testing.assert_array_equal(np.isfinite(actual), finite)
            np.testing.assert_array_equal(actual[~finite], expected[~finite])
            assert np.abs(actual[finite].astype("f8") - expected[finite]).max(initial=0) <= case.tolerance * scale
