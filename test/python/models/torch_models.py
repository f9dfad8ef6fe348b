"""Recurrent networks from torch, by both exporters."""

from __future__ import annotations

from .registry import Input, model

_SIZES = [dict(batch=1, seq=7), dict(batch=3, seq=16), dict(batch=8, seq=33)]
_INPUTS = {"x": Input("float32", ("batch", "seq", 64))}


def _recurrent(kind, path, dynamo=False, layers=2, bidirectional=False):
    import torch

    from .export import capture, trace

    torch.manual_seed(0)

    class Tagger(torch.nn.Module):
        def __init__(self):
            super().__init__()
            cell = getattr(torch.nn, kind)
            self.cell = cell(64, 128, layers, batch_first=True, bidirectional=bidirectional)
            self.head = torch.nn.Linear(128 * (2 if bidirectional else 1), 10)

        def forward(self, x):
            y, state = self.cell(x)
            return self.head(y), state[0] if isinstance(state, tuple) else state

    x = torch.randn(2, 9, 64)
    outputs = ["scores", "state"]
    if dynamo:
        capture(Tagger(), path, [x], ["x"], outputs, [{0: "batch", 1: "seq"}])
    else:
        trace(Tagger(), path, [x], ["x"], outputs,
              {"x": {0: "batch", 1: "seq"}, "scores": {0: "batch", 1: "seq"},
               "state": {1: "batch"}}, opset=14)


@model("lstm", _INPUTS, _SIZES, tier="small")
def lstm(path):
    _recurrent("LSTM", path)


@model("lstm-bidirectional", _INPUTS, _SIZES, tier="small")
def lstm_bidirectional(path):
    _recurrent("LSTM", path, bidirectional=True)


@model("lstm-dynamo", _INPUTS, _SIZES, tier="small")
def lstm_dynamo(path):
    _recurrent("LSTM", path, dynamo=True)


@model("gru", _INPUTS, _SIZES, tier="small")
def gru(path):
    _recurrent("GRU", path)


@model("gru-dynamo", _INPUTS, _SIZES, tier="small")
def gru_dynamo(path):
    _recurrent("GRU", path, dynamo=True)


@model("rnn-tanh", _INPUTS, _SIZES, tier="small")
def rnn_tanh(path):
    _recurrent("RNN", path, layers=1)
