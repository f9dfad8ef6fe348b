"""Small networks for every run: seconds to export, milliseconds to run."""

from __future__ import annotations

from .registry import Input, model

_IMAGE = {"x": Input("float32", ("batch", 3, "height", "width"))}
_IMAGE_SIZES = [dict(batch=1, height=32, width=32), dict(batch=2, height=48, width=40),
                dict(batch=5, height=33, width=57)]


def _convnet():
    import torch
    from torch import nn

    class Residual(nn.Module):
        def __init__(self, channels):
            super().__init__()
            self.body = nn.Sequential(
                nn.Conv2d(channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels),
                nn.ReLU(), nn.Conv2d(channels, channels, 3, padding=1, groups=channels),
                nn.BatchNorm2d(channels), nn.Hardswish())

        def forward(self, x):
            return x + self.body(x)

    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 24, 3, 2, 1), nn.SiLU(), Residual(24), nn.MaxPool2d(3, 2, 1),
        nn.Conv2d(24, 40, 1), nn.GELU(), Residual(40), nn.AvgPool2d(2, 2, ceil_mode=True),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(40, 10), nn.Softmax(1))


@model("small-convnet", _IMAGE, _IMAGE_SIZES, tier="small")
def convnet(path):
    import torch

    from .export import randomise, trace

    net = _convnet()
    randomise(net)
    trace(net, path, [torch.randn(2, 3, 32, 32)], ["x"], ["y"],
          {"x": {0: "batch", 2: "height", 3: "width"}, "y": {0: "batch"}}, opset=13)


@model("small-convnet-dynamo", {"x": Input("float32", ("batch", 3, 32, 32))},
       [dict(batch=1), dict(batch=4), dict(batch=7)], tier="small")
def convnet_dynamo(path):
    import torch

    from .export import capture, randomise

    net = _convnet()
    randomise(net)
    capture(net, path, [torch.randn(2, 3, 32, 32)], ["x"], ["y"], [{0: "batch"}])


def _attention():
    import torch
    from torch import nn

    class Block(nn.Module):
        """A pre-norm transformer block with a causal mask."""

        def __init__(self, width=64, heads=4):
            super().__init__()
            self.heads = heads
            self.norm, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
            self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
            self.mlp = nn.Sequential(nn.Linear(width, 128), nn.GELU("tanh"), nn.Linear(128, width))

        def forward(self, x):
            batch, length, width = x.shape
            qkv = self.qkv(self.norm(x)).view(batch, length, 3, self.heads, width // self.heads)
            q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
            y = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
            x = x + self.out(y.transpose(1, 2).reshape(batch, length, width))
            return x + self.mlp(self.norm2(x))

    torch.manual_seed(0)
    return nn.Sequential(Block(), Block(), nn.LayerNorm(64))


_SEQUENCE = {"x": Input("float32", ("batch", "seq", 64))}
_SEQUENCE_SIZES = [dict(batch=1, seq=5), dict(batch=2, seq=16), dict(batch=3, seq=37)]


@model("small-attention", _SEQUENCE, _SEQUENCE_SIZES, tier="small")
def attention(path):
    import torch

    from .export import randomise, trace

    net = _attention()
    randomise(net)
    trace(net, path, [torch.randn(2, 9, 64)], ["x"], ["y"],
          {"x": {0: "batch", 1: "seq"}, "y": {0: "batch", 1: "seq"}}, opset=17)


@model("small-attention-dynamo", _SEQUENCE, _SEQUENCE_SIZES, tier="small")
def attention_dynamo(path):
    import torch

    from .export import capture, randomise

    net = _attention()
    randomise(net)
    capture(net, path, [torch.randn(2, 9, 64)], ["x"], ["y"], [{0: "batch", 1: "seq"}])


@model("small-mlp-opset9", {"x": Input("float32", ("batch", 32))},
       [dict(batch=1), dict(batch=17)], tier="small")
def mlp(path):
    import torch
    from torch import nn

    from .export import trace

    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(32, 48), nn.Tanh(), nn.Linear(48, 48), nn.Sigmoid(),
                        nn.Linear(48, 8), nn.LogSoftmax(1))
    trace(net, path, [torch.randn(2, 32)], ["x"], ["y"], {"x": {0: "batch"}, "y": {0: "batch"}},
          opset=9)


@model("small-embedding", {"ids": Input("int64", ("batch", "seq"), 0, 100, "integers")},
       [dict(batch=1, seq=4), dict(batch=3, seq=11)], tier="small")
def embedding(path):
    import torch

    from .export import trace

    class Ranker(torch.nn.Module):
        """Embedding, masked mean, top-k and a gather: what ranking models do."""

        def __init__(self):
            super().__init__()
            self.table = torch.nn.Embedding(100, 32)
            self.score = torch.nn.Linear(32, 50)

        def forward(self, ids):
            mask = (ids > 10).float().unsqueeze(-1)
            mean = (self.table(ids) * mask).sum(1) / mask.sum(1).clamp(min=1.0)
            best = self.score(mean).topk(5, dim=1)
            return best.values, best.indices, torch.where(ids > 50, ids, -ids)

    torch.manual_seed(0)
    trace(Ranker(), path, [torch.randint(0, 100, (2, 6))], ["ids"],
          ["values", "indices", "folded"],
          {"ids": {0: "batch", 1: "seq"}, "values": {0: "batch"}, "indices": {0: "batch"},
           "folded": {0: "batch", 1: "seq"}}, opset=13)
