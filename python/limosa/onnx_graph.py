"""An ONNX graph run node by node with torch's or jax's functions, for `bench --vs`.

Neither reads ONNX. onnxruntime fixes the sizes and folds what is constant; the
nodes that are left become calls of the framework, which compiles them
(torch.compile, jax.jit). Operators without a row in `NODES` are refused by name.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import onnx_recurrent


class TorchOps:
    """The primitives that differ between frameworks, in torch."""

    def __init__(self):
        import torch

        self.torch = torch
        self.functional = torch.nn.functional

    def array(self, value):
        return self.torch.from_numpy(np.array(value)) if isinstance(value, np.ndarray) else value

    def cast(self, x, dtype):
        return x.to(getattr(self.torch, np.dtype(dtype).name))

    def call(self, name, *arguments):
        return getattr(self.torch, name)(*arguments)

    def erf(self, x):
        return self.torch.erf(x)

    def sigmoid(self, x):
        return self.torch.sigmoid(x)

    def softmax(self, x, axis):
        return self.functional.softmax(x, axis)

    def transpose(self, x, order):
        return x.permute(order)

    def broadcast(self, x, shape):
        return self.torch.broadcast_to(x, shape)

    def concat(self, arrays, axis):
        return self.torch.cat(arrays, axis)

    def take(self, x, indices, axis):
        shape = (*x.shape[:axis], *indices.shape, *x.shape[axis + 1:])
        indices = indices.to(self.torch.int64).reshape(-1)
        indices = self.torch.where(indices < 0, indices + x.shape[axis], indices)
        return x.index_select(axis, indices).reshape(shape)

    def reduce(self, kind, x, axes, keep):
        name = {"mean": "mean", "sum": "sum", "max": "amax", "min": "amin"}[kind]
        return getattr(self.torch, name)(x, dim=tuple(axes), keepdim=keep)

    def conv(self, x, w, b, strides, pads, dilations, groups):
        half = len(strides)
        if pads[:half] != pads[half:]:
            flat = [p for d in reversed(range(half)) for p in (pads[d], pads[half + d])]
            x, pads = self.functional.pad(x, flat), [0] * 2 * half
        conv = getattr(self.functional, f"conv{half}d")
        return conv(x, w, b, strides, pads[:half], dilations, groups)

    def max_pool(self, x, window, strides, pads):
        half = len(window)
        flat = [p for d in reversed(range(half)) for p in (pads[d], pads[half + d])]
        x = self.functional.pad(x, flat, value=float("-inf"))
        return getattr(self.functional, f"max_pool{half}d")(x, window, strides)

    def sum_pool(self, x, window, strides, pads):
        half = len(window)
        flat = [p for d in reversed(range(half)) for p in (pads[d], pads[half + d])]
        mean = getattr(self.functional, f"avg_pool{half}d")
        return mean(self.functional.pad(x, flat), window, strides) * float(np.prod(window))

    def conv_transpose(self, x, w, b, strides, pads, dilations, groups, extra):
        half = len(strides)
        if pads[:half] != pads[half:]:
            raise NotImplementedError("ConvTranspose with uneven pads")
        conv = getattr(self.functional, f"conv_transpose{half}d")
        return conv(x, w, b, strides, pads[:half], extra, groups, dilations)

    def pad(self, x, low, high, value):
        flat = [p for d in reversed(range(x.ndim)) for p in (low[d], high[d])]
        return self.functional.pad(x, flat, value=value)

    def scan(self, step, state, xs, reverse):
        ys = []
        for x in reversed(xs) if reverse else xs:
            state, y = step(state, x)
            ys.append(y)
        return state, self.torch.stack(ys[::-1] if reverse else ys)

    def slice(self, x, slices):
        for axis, part in enumerate(slices):
            if part.step is not None and part.step < 0:
                index = np.arange(x.shape[axis])[part].copy()
                x = x.index_select(axis, self.torch.from_numpy(index))
                slices = (*slices[:axis], slice(None), *slices[axis + 1:])
        return x[slices]


class JaxOps:
    """The same in jax."""

    def __init__(self):
        import jax

        self.jax, self.np, self.lax = jax, jax.numpy, jax.lax

    def array(self, value):
        return self.np.asarray(value)

    def cast(self, x, dtype):
        return x.astype(dtype)

    def call(self, name, *arguments):
        name = {"round": "rint", "pow": "power", "clamp": "clip"}.get(name, name)
        return getattr(self.np, name)(*arguments)

    def erf(self, x):
        return self.jax.scipy.special.erf(x)

    def sigmoid(self, x):
        return self.jax.nn.sigmoid(x)

    def softmax(self, x, axis):
        return self.jax.nn.softmax(x, axis)

    def transpose(self, x, order):
        return self.np.transpose(x, order)

    def broadcast(self, x, shape):
        return self.np.broadcast_to(x, shape)

    def concat(self, arrays, axis):
        return self.np.concatenate(arrays, axis)

    def take(self, x, indices, axis):
        return self.np.take(x, indices, axis)

    def reduce(self, kind, x, axes, keep):
        return getattr(self.np, kind)(x, axis=tuple(axes), keepdims=keep)

    def conv(self, x, w, b, strides, pads, dilations, groups):
        half = len(strides)
        y = self.lax.conv_general_dilated(
            x, w, strides, list(zip(pads[:half], pads[half:])), rhs_dilation=dilations,
            feature_group_count=groups, precision=self.lax.Precision.HIGHEST)
        return y if b is None else y + b.reshape((1, -1) + (1,) * half)

    def max_pool(self, x, window, strides, pads):
        half = len(window)
        padding = [(0, 0), (0, 0), *zip(pads[:half], pads[half:])]
        return self.lax.reduce_window(x, -np.inf, self.lax.max, (1, 1, *window),
                                      (1, 1, *strides), padding)

    def sum_pool(self, x, window, strides, pads):
        half = len(window)
        padding = [(0, 0), (0, 0), *zip(pads[:half], pads[half:])]
        return self.lax.reduce_window(x, 0.0, self.lax.add, (1, 1, *window), (1, 1, *strides),
                                      padding)

    def conv_transpose(self, x, w, b, strides, pads, dilations, groups, extra):
        half = len(strides)
        takes, gives, *window = w.shape
        w = w.reshape(groups, takes // groups, gives, *window).swapaxes(1, 2)
        w = self.np.flip(w.reshape(groups * gives, takes // groups, *window), range(2, 2 + half))
        reach = [d * (k - 1) for d, k in zip(dilations, window)]
        padding = [(reach[i] - pads[i], reach[i] - pads[half + i] + extra[i]) for i in range(half)]
        y = self.lax.conv_general_dilated(
            x, w, [1] * half, padding, lhs_dilation=strides, rhs_dilation=dilations,
            feature_group_count=groups, precision=self.lax.Precision.HIGHEST)
        return y if b is None else y + b.reshape((1, -1) + (1,) * half)

    def pad(self, x, low, high, value):
        return self.np.pad(x, list(zip(low, high)), constant_values=value)

    def scan(self, step, state, xs, reverse):
        return self.lax.scan(step, state, xs, reverse=reverse)

    def slice(self, x, slices):
        return x[slices]


def _plain(name):
    return lambda ops, node, *inputs: ops.call(name, *map(ops.array, inputs))


def _axes(node, inputs, rank):
    axes = node.get("axes") if len(inputs) < 2 or inputs[1] is None else inputs[1].tolist()
    return [a % rank for a in (range(rank) if axes is None or not len(axes) else axes)]


def _reduce(kind):
    def run(ops, node, *inputs):
        x = ops.array(inputs[0])
        return ops.reduce(kind, x, _axes(node, inputs, x.ndim), bool(node.get("keepdims", 1)))
    return run


def _conv(ops, node, x, w, b=None):
    half = w.ndim - 2
    if node.get("auto_pad", "NOTSET") not in ("NOTSET", "VALID"):
        raise NotImplementedError("Conv with auto_pad")
    return ops.conv(ops.array(x), ops.array(w), None if b is None else ops.array(b),
                    node.get("strides", [1] * half), node.get("pads", [0] * 2 * half),
                    node.get("dilations", [1] * half), node.get("group", 1))


def _conv_transpose(ops, node, x, w, b=None):
    half = w.ndim - 2
    if node.get("auto_pad", "NOTSET") != "NOTSET" or node.get("output_shape"):
        raise NotImplementedError("ConvTranspose with auto_pad or output_shape")
    return ops.conv_transpose(
        ops.array(x), ops.array(w), None if b is None else ops.array(b),
        node.get("strides", [1] * half), node.get("pads", [0] * 2 * half),
        node.get("dilations", [1] * half), node.get("group", 1),
        node.get("output_padding", [0] * half))


def _pad(ops, node, x, pads, value=None, axes=None):
    if node.get("mode", "constant") != "constant" or axes is not None or min(pads) < 0:
        raise NotImplementedError("Pad other than with a constant on all axes")
    rank = x.ndim
    return ops.pad(ops.array(x), pads[:rank].tolist(), pads[rank:].tolist(),
                   0 if value is None else value.item())


def _max_pool(ops, node, x):
    window = node["kernel_shape"]
    if node.get("ceil_mode") or any(d != 1 for d in node.get("dilations", [])):
        raise NotImplementedError("MaxPool with ceil_mode or dilations")
    return ops.max_pool(ops.array(x), window, node.get("strides", [1] * len(window)),
                        node.get("pads", [0] * 2 * len(window)))


def _average_pool(ops, node, x):
    window = node["kernel_shape"]
    strides = node.get("strides", [1] * len(window))
    pads = node.get("pads", [0] * 2 * len(window))
    if (node.get("ceil_mode") or any(d != 1 for d in node.get("dilations", []))
            or node.get("auto_pad", "NOTSET") not in ("NOTSET", "VALID")):
        raise NotImplementedError("AveragePool with ceil_mode, dilations or auto_pad")
    total = ops.sum_pool(ops.array(x), window, strides, pads)
    if node.get("count_include_pad") or not any(pads):
        return total / float(np.prod(window))
    ones = ops.array(np.ones((1, 1, *x.shape[2:]), np.float32))
    return total / ops.sum_pool(ones, window, strides, pads)


def _gemm(ops, node, a, b, c=None):
    a, b = ops.array(a), ops.array(b)
    a = ops.transpose(a, (1, 0)) if node.get("transA") else a
    b = ops.transpose(b, (1, 0)) if node.get("transB") else b
    y = ops.call("matmul", a, b)
    y = y * node["alpha"] if node.get("alpha", 1.0) != 1.0 else y
    return y if c is None else y + ops.array(c) * node.get("beta", 1.0)


def _layer_norm(ops, node, x, scale, bias=None):
    x = ops.array(x)
    axes = list(range(node.get("axis", -1) % x.ndim, x.ndim))
    centred = x - ops.reduce("mean", x, axes, True)
    spread = ops.reduce("mean", centred * centred, axes, True)
    y = centred / ops.call("sqrt", spread + node.get("epsilon", 1e-5)) * ops.array(scale)
    return y if bias is None else y + ops.array(bias)


def _batch_norm(ops, node, x, scale, bias, mean, variance):
    factor = scale / np.sqrt(variance + np.float32(node.get("epsilon", 1e-5)))
    shape = (1, -1) + (1,) * (x.ndim - 2)
    return x * ops.array(factor.reshape(shape)) + ops.array((bias - mean * factor).reshape(shape))


def _reshape(ops, node, x, shape):
    x, shape = ops.array(x), shape.tolist()
    if not node.get("allowzero"):
        shape = [x.shape[i] if d == 0 else d for i, d in enumerate(shape)]
    return x.reshape(tuple(shape))


def _squeeze(ops, node, *inputs):
    x = ops.array(inputs[0])
    axes = _axes(node, inputs, x.ndim)
    return x.reshape(tuple(d for i, d in enumerate(x.shape) if i not in axes or d != 1))


def _unsqueeze(ops, node, *inputs):
    x = ops.array(inputs[0])
    axes = node.get("axes") if len(inputs) < 2 else inputs[1].tolist()
    shape = list(x.shape)
    for axis in sorted(a % (x.ndim + len(axes)) for a in axes):
        shape.insert(axis, 1)
    return x.reshape(tuple(shape))


def _slice(ops, node, x, starts, ends, axes=None, steps=None):
    x = ops.array(x)
    axes = range(len(starts)) if axes is None else axes.tolist()
    parts = [slice(None)] * x.ndim
    for i, axis in enumerate(axes):
        step = 1 if steps is None else int(steps[i])
        end = int(ends[i])
        parts[axis] = slice(int(starts[i]), None if step < 0 and end < -x.shape[axis] else end,
                            step)
    return ops.slice(x, tuple(parts))


def _split(ops, node, x, sizes=None):
    x, axis = ops.array(x), node.get("axis", 0)
    axis %= x.ndim
    sizes = node.get("split") if sizes is None else sizes.tolist()
    if sizes is None:
        raise NotImplementedError("Split without sizes")
    results, start = [], 0
    for size in sizes:
        parts = [slice(None)] * x.ndim
        parts[axis] = slice(start, start + size)
        results.append(ops.slice(x, tuple(parts)))
        start += size
    return tuple(results)


def _expand(ops, node, x, shape):
    x = ops.array(x)
    return ops.broadcast(x, np.broadcast_shapes(tuple(x.shape), tuple(shape.tolist())))


def _clip(ops, node, x, low=None, high=None):
    x = ops.array(x)
    for bound, name in ((low, "maximum"), (high, "minimum")):
        if bound is not None:
            x = ops.call(name, x, ops.array(bound))
    return x


def _global_pool(ops, node, x):
    return ops.reduce("mean", x, list(range(2, x.ndim)), True)


def _hard_sigmoid(ops, node, x, alpha=None, beta=None):
    line = x * node.get("alpha", 0.2) + node.get("beta", 0.5)
    return ops.call("clip" if isinstance(ops, JaxOps) else "clamp", line, 0, 1)


NODES = {
    "Add": lambda ops, node, a, b: ops.array(a) + ops.array(b),
    "Sub": lambda ops, node, a, b: ops.array(a) - ops.array(b),
    "Mul": lambda ops, node, a, b: ops.array(a) * ops.array(b),
    "Div": lambda ops, node, a, b: ops.array(a) / ops.array(b),
    "Pow": _plain("pow"), "Sqrt": _plain("sqrt"), "Exp": _plain("exp"), "Log": _plain("log"),
    "Tanh": _plain("tanh"), "Abs": _plain("abs"), "MatMul": _plain("matmul"),
    "Max": _plain("maximum"), "Min": _plain("minimum"), "Where": _plain("where"),
    "Floor": _plain("floor"), "And": _plain("logical_and"), "Or": _plain("logical_or"),
    "Not": _plain("logical_not"), "Equal": _plain("eq"), "IsNaN": _plain("isnan"),
    "Neg": lambda ops, node, x: -ops.array(x),
    "Reciprocal": lambda ops, node, x: 1 / ops.array(x),
    "Less": lambda ops, node, a, b: ops.array(a) < ops.array(b),
    "LessOrEqual": lambda ops, node, a, b: ops.array(a) <= ops.array(b),
    "Greater": lambda ops, node, a, b: ops.array(a) > ops.array(b),
    "GreaterOrEqual": lambda ops, node, a, b: ops.array(a) >= ops.array(b),
    "Erf": lambda ops, node, x: ops.erf(ops.array(x)),
    "Sigmoid": lambda ops, node, x: ops.sigmoid(ops.array(x)),
    "Relu": lambda ops, node, x: ops.array(x) * (ops.array(x) > 0),
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": lambda ops, node, x: x * _hard_sigmoid(ops, {"alpha": 1 / 6}, x),
    "Softmax": lambda ops, node, x: ops.softmax(ops.array(x), node.get("axis", -1)),
    "LogSoftmax": lambda ops, node, x: ops.call(
        "log", ops.softmax(ops.array(x), node.get("axis", -1))),
    "Identity": lambda ops, node, x: x,
    "Cast": lambda ops, node, x: ops.cast(ops.array(x), node["numpy_type"]),
    "Transpose": lambda ops, node, x: ops.transpose(
        ops.array(x), tuple(node.get("perm", range(x.ndim)[::-1]))),
    "Concat": lambda ops, node, *xs: ops.concat([ops.array(x) for x in xs], node["axis"]),
    "Gather": lambda ops, node, x, i: ops.take(ops.array(x), ops.array(i),
                                               node.get("axis", 0) % x.ndim),
    "Flatten": lambda ops, node, x: x.reshape(
        (int(np.prod(x.shape[:node.get("axis", 1)])), -1)),
    "ConstantOfShape": lambda ops, node, shape: np.full(shape.tolist(), node["array"][0]),
    "Mod": lambda ops, node, a, b: ops.call("fmod" if node.get("fmod") else "remainder",
                                            ops.array(a), ops.array(b)),
    "Conv": _conv, "ConvTranspose": _conv_transpose, "Pad": _pad, "MaxPool": _max_pool, "AveragePool": _average_pool,
    "Gemm": _gemm, "GlobalAveragePool": _global_pool,
    "LayerNormalization": _layer_norm, "BatchNormalization": _batch_norm, "Reshape": _reshape,
    "Squeeze": _squeeze, "Unsqueeze": _unsqueeze, "Slice": _slice, "Split": _split,
    "Expand": _expand, "Clip": _clip, "ReduceMean": _reduce("mean"), "ReduceSum": _reduce("sum"),
    "ReduceL2": lambda ops, node, x, *axes: ops.call("sqrt", _reduce("sum")(
        ops, node, ops.array(x) * ops.array(x), *axes)),
    "Shape": lambda ops, node, x: np.array(x.shape, np.int64),
    "ReduceMax": _reduce("max"), "ReduceMin": _reduce("min"),
    **onnx_recurrent.ROWS,
}


class OnnxGraph:
    """A model at the sizes of given inputs. Raises NotImplementedError."""

    def __init__(self, path, inputs):
        import onnx
        from onnx import numpy_helper

        graph = onnx.load(_fold(path, inputs)).graph
        self.constants = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
        self.input_names = [i.name for i in graph.input if i.name not in self.constants]
        self.output_names = [o.name for o in graph.output]
        missing = {n.op_type for n in graph.node} - NODES.keys() - {"Constant"}
        if missing:
            raise NotImplementedError(f"no rows for {', '.join(sorted(missing))}")
        self.nodes = []
        for node in graph.node:
            attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
            attributes = {k: v.decode() if isinstance(v, bytes) else v
                          for k, v in attributes.items()}
            if node.op_type == "Constant":
                self.constants[node.output[0]] = numpy_helper.to_array(attributes["value"])
                continue
            if node.op_type == "ConstantOfShape":
                value = attributes.get("value")
                attributes["array"] = (np.zeros(1, np.float32) if value is None
                                       else numpy_helper.to_array(value))
            if "to" in attributes:
                attributes["numpy_type"] = onnx.helper.tensor_dtype_to_np_dtype(attributes["to"])
            self.nodes.append((NODES[node.op_type], attributes, list(node.input),
                               list(node.output)))

    def bind(self, ops):
        """The graph as a function of its inputs, in the framework of `ops`."""
        def run(*inputs):
            values = {**self.constants, **dict(zip(self.input_names, inputs))}
            for function, attributes, takes, gives in self.nodes:
                results = function(ops, attributes, *(values.get(name) for name in takes))
                results = results if isinstance(results, tuple) else (results,)
                values.update(zip(gives, results))
            return [ops.array(values[name]) for name in self.output_names]
        return run


def _fold(path, inputs):
    """The model with its sizes fixed and constants folded; the path of the new file."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    options = onnxruntime.SessionOptions()
    for value in session.get_inputs():
        for name, size in zip(value.shape, inputs[value.name].shape):
            if isinstance(name, str):
                options.add_free_dimension_override_by_name(name, size)
    folded = Path(tempfile.mkdtemp(prefix="limosa-bench-")) / "folded.onnx"
    options.optimized_model_filepath = str(folded)
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.log_severity_level = 3
    onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return str(folded)
