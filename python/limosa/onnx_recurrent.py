"""LSTM and GRU for onnx_graph: a step of the framework's functions, scanned over time."""

from __future__ import annotations

import numpy as np


def _lstm_step(ops, hidden, r, bias, node):
    def split(gates):
        return [gates[:, i * hidden:(i + 1) * hidden] for i in range(4)]

    def step(state, x):
        h, c = state
        i, o, f, g = split(x + ops.call("matmul", h, r))
        c = ops.sigmoid(f) * c + ops.sigmoid(i) * ops.call("tanh", g)
        h = ops.sigmoid(o) * ops.call("tanh", c)
        return (h, c), h

    return step, bias[:4 * hidden] + bias[4 * hidden:]


def _gru_step(ops, hidden, r, bias, node):
    if not node.get("linear_before_reset"):
        raise NotImplementedError("GRU with linear_before_reset = 0")
    own = ops.array(bias[3 * hidden:])

    def step(state, x):
        h = state[0]
        y = ops.call("matmul", h, r) + own
        z = ops.sigmoid(x[:, :hidden] + y[:, :hidden])
        reset = ops.sigmoid(x[:, hidden:2 * hidden] + y[:, hidden:2 * hidden])
        g = ops.call("tanh", x[:, 2 * hidden:] + reset * y[:, 2 * hidden:])
        h = (1 - z) * g + z * h
        return (h,), h

    return step, bias[:3 * hidden]


def recurrent(make_step, gates, states):
    """A row of NODES. All products with inputs are one, before the scan."""
    def run(ops, node, x, w, r, b=None, lengths=None, *initial):
        direction = node.get("direction", "forward")
        if (node.get("activations") or node.get("clip") or node.get("layout") or len(initial) > states
                or lengths is not None or direction == "reverse"):
            raise NotImplementedError("a recurrent node with activations, clip, layout, lengths, "
                                      "peepholes or in reverse")
        hidden, x = node["hidden_size"], ops.array(x)
        batch = x.shape[1]
        sequences, last = [], [[] for _ in range(states)]
        for d in range(w.shape[0]):
            bias = np.zeros(2 * gates * hidden, w.dtype) if b is None else b[d]
            step, bias = make_step(ops, hidden, ops.array(np.ascontiguousarray(r[d].T)), bias, node)
            given = ops.call("matmul", x, ops.array(np.ascontiguousarray(w[d].T)))
            given = given + ops.array(bias)
            zero = ops.array(np.zeros((batch, hidden), w.dtype))
            state = tuple(ops.array(initial[i])[d] if i < len(initial) and initial[i] is not None
                          else zero for i in range(states))
            state, y = ops.scan(step, state, given, reverse=d == 1)
            sequences.append(y)
            for kept, value in zip(last, state):
                kept.append(value)
        return (ops.call("stack", sequences, 1), *(ops.call("stack", kept) for kept in last))
    return run


ROWS = {"LSTM": recurrent(_lstm_step, 4, 2), "GRU": recurrent(_gru_step, 3, 1)}
