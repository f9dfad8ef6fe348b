"""The networks that the tables name, as torch modules with random weights by seed.

`build` gives the same module in every process, so that torch runs what the .onnx
file holds. torch and the packages are imported when a network is built, not before.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Callable

NETWORKS: dict[str, Callable] = {}


def network(function: Callable) -> Callable:
    """Registers what makes a torch module from options, under its name."""
    NETWORKS[function.__name__] = function
    return function


def build(name: str, options):
    """The module, in eval mode. Raises ImportError where a package is missing."""
    import torch

    from .harness import randomise

    torch.manual_seed(0)
    module = NETWORKS[name](**options).eval()
    randomise(module)
    return module.requires_grad_(False)


def package_file(package: str, file: str) -> Path:
    """A file that a Python package carries."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise ImportError(f"the Python package {package} is not installed")
    return Path(spec.origin).parent / file


def _activation(name: str):
    from torch import nn

    return {"relu": nn.ReLU, "silu": nn.SiLU, "gelu": nn.GELU, "hardswish": nn.Hardswish,
            "leaky_relu": nn.LeakyReLU}[name]()


def _swap(module, kinds, make) -> None:
    """Replaces all submodules of some kinds by what `make` makes of each."""
    for name, child in module.named_children():
        if isinstance(child, kinds):
            setattr(module, name, make(child))
        else:
            _swap(child, kinds, make)


def _change(module, activation=None, kernel=None):
    """What options of picture networks have in common."""
    from torch import nn

    if activation:
        _swap(module, (nn.ReLU, nn.ReLU6, nn.SiLU, nn.GELU), lambda _: _activation(activation))
    if kernel:
        def widened(conv):
            if conv.kernel_size != (3, 3):
                return conv
            return nn.Conv2d(conv.in_channels, conv.out_channels, kernel, conv.stride,
                             kernel // 2, groups=conv.groups, bias=conv.bias is not None)
        _swap(module, nn.Conv2d, widened)
    return module


@network
def torchvision(model, activation=None, kernel=None, **options):
    import torchvision

    net = torchvision.models.get_model(model, weights=None, **options)
    return _change(net, activation, kernel)


@network
def timm(model, activation=None, kernel=None, **options):
    import timm

    return _change(timm.create_model(model, pretrained=False, **options), activation, kernel)


@network
def unet(width, depth, activation="relu"):
    import torch
    from torch import nn

    def twice(takes, gives):
        return nn.Sequential(*(part for first in (takes, gives) for part in (
            nn.Conv2d(first, gives, 3, padding=1, bias=False), nn.BatchNorm2d(gives),
            _activation(activation))))

    class UNet(nn.Module):
        def __init__(self):
            super().__init__()
            widths = [width << level for level in range(depth + 1)]
            self.down = nn.ModuleList(map(twice, [3, *widths], widths))
            self.grow = nn.ModuleList(nn.ConvTranspose2d(w, w // 2, 2, 2) for w in widths[:0:-1])
            self.up = nn.ModuleList(twice(w, w // 2) for w in widths[:0:-1])
            self.head = nn.Conv2d(width, 2, 1)

        def forward(self, x):
            kept = []
            for level, block in enumerate(self.down):
                x = block(nn.functional.max_pool2d(x, 2) if level else x)
                kept.append(x)
            kept.pop()
            for grow, block in zip(self.grow, self.up):
                x = block(torch.cat([kept.pop(), grow(x)], 1))
            return self.head(x)

    return UNet()


@network
def bert(**options):
    from torch import nn
    from transformers import BertConfig, BertModel

    class Encoder(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = BertModel(BertConfig(attn_implementation="sdpa", **options),
                                 add_pooling_layer=False)

        def forward(self, input_ids, attention_mask, token_type_ids):
            return self.net(input_ids=input_ids, attention_mask=attention_mask,
                            token_type_ids=token_type_ids).last_hidden_state

    return Encoder()


@network
def gpt2(**options):
    from torch import nn
    from transformers import DynamicCache, GPT2Config, GPT2LMHeadModel

    class Step(nn.Module):
        """Logits and the keys and values of each layer, the past's at the front."""

        def __init__(self):
            super().__init__()
            self.net = GPT2LMHeadModel(GPT2Config(attn_implementation="sdpa", **options))

        def forward(self, input_ids, attention_mask, *cache):
            pairs = list(zip(cache[::2], cache[1::2]))
            out = self.net(input_ids=input_ids, attention_mask=attention_mask,
                           past_key_values=DynamicCache(pairs) if pairs else DynamicCache(),
                           use_cache=True)
            return (out.logits, *(t for layer in out.past_key_values.layers
                                  for t in (layer.keys, layer.values)))

    return Step()


@network
def lstm(width, hidden, layers, cell="LSTM", bidirectional=False):
    from torch import nn

    class Recurrent(nn.Module):
        def __init__(self):
            super().__init__()
            self.cell = getattr(nn, cell)(width, hidden, layers, bidirectional=bidirectional)

        def forward(self, x):
            return self.cell(x)[0]

    return Recurrent()


@network
def linear(inner, columns):
    from torch import nn

    return nn.Linear(inner, columns)


@network
def pair():
    import torch
    from torch import nn

    class Product(nn.Module):
        def forward(self, x, y):
            return torch.matmul(x, y)

    return Product()


@network
def convolution(channels, out, kernel, stride, groups):
    from torch import nn

    return nn.Conv2d(channels, out, kernel, stride, kernel // 2, groups=groups)
