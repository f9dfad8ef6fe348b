"""Variants of the suite's models: the same tables with one or two things changed.

An axis is a thing that can be changed: an option of the network, or the sizes of
its pictures. Each value of each axis makes a variant; then some pairs of axes do,
drawn by the name of the family, so that they are the same everywhere.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from typing import Any, Callable

from .case import Family, Input

PAIRS = 2


@dataclass(frozen=True)
class Axis:
    name: str
    values: tuple
    change: Callable[[Family, Any], Family]


def option(name: str, *values, label: str = "") -> Axis:
    """An option of the network; dicts as values set several."""
    def change(family, value):
        several = value if isinstance(value, dict) else {name: value}
        return family.but(options={**family.options, **several})
    return Axis(label or name, values, change)


def resolution(*values) -> Axis:
    """The side of the pictures."""
    def change(family, value):
        inputs = tuple(Input(i.name, (*i.shape[:-2], value, value), i.dtype, i.below)
                       for i in family.inputs)
        return family.but(inputs=inputs)
    return Axis("size", values, change)


def length(*values) -> Axis:
    """Tokens of a text."""
    def change(family, value):
        return family.but(sizes=tuple({**sizes, "seq": value} for sizes in family.sizes))
    return Axis("length", values, change)


def layer_width(*values) -> Axis:
    """Width of a recurrent network, inputs included."""
    def change(family, value):
        inputs = tuple(Input(i.name, (*i.shape[:-1], value)) for i in family.inputs)
        return family.but(inputs=inputs, options={**family.options, "width": value,
                                                  "hidden": value})
    return Axis("hidden", values, change)


ACTIVATION = option("activation", "silu", "gelu", "leaky_relu")
RESNET = (option("width_per_group", 48, 72, label="width"), ACTIVATION, resolution(160, 193, 288))
TEXT = (option("hidden_act", "relu", "gelu_new", label="activation"), length(61, 256),
        option("width", dict(hidden_size=320, num_attention_heads=5, intermediate_size=1280),
               dict(hidden_size=576, num_attention_heads=12, intermediate_size=2000)))

# By the family's name; a family that is missing here has no variants.
AXES: dict[str, tuple[Axis, ...]] = {
    "resnet18": (option("kernel", 5), ACTIVATION, resolution(160, 193, 288)),
    "resnet50": RESNET,
    # The model's own name fixes its groups; it is a ResNet-101 with others.
    "resnext101-32x8d": (option("groups", dict(model="resnet101", groups=16, width_per_group=12),
                                dict(model="resnet101", groups=64, width_per_group=4)),
                         option("kernel", 5), resolution(160)),
    "mobilenetv2": (option("width_mult", 0.75, 1.3, label="width"), ACTIVATION,
                    option("kernel", 5), resolution(160, 193)),
    "mobilenetv3": (option("width_mult", 0.75, 1.25, label="width"), resolution(160, 193, 288)),
    "efficientnet-b0": (option("model", "efficientnet_lite0", "efficientnet_b2", label="model"),
                        option("activation", "relu", "hardswish"), resolution(160, 240)),
    "efficientnet-b4": (resolution(256, 380),),
    "vit-b16": (option("width", dict(embed_dim=384, num_heads=6), dict(embed_dim=320, num_heads=5)),
                option("depth", 6), option("activation", "silu")),
    "convnext-t": (option("kernel_sizes", 5, 9, label="kernel"),
                   option("dims", [64, 128, 256, 512], [80, 160, 320, 640], label="width"),
                   resolution(160, 288)),
    "swin-t": (option("embed_dim", 64, label="width"), option("depths", [2, 2, 2, 2])),
    "unet": (option("width", 24, 40), option("depth", 3), ACTIVATION, resolution(192, 320)),
    "bert-base": TEXT,
    "minilm": TEXT,
    "lstm-256x1": (layer_width(100, 320, 512), option("cell", "GRU"),
                   option("bidirectional", True)),
    "lstm-256x4": (layer_width(192),),
}


def _label(value) -> str:
    text = "x".join(map(str, value.values())) if isinstance(value, dict) else str(value)
    return re.sub(r"[^A-Za-z0-9.]+", "_", text).strip("_")


def variants(family: Family) -> list[Family]:
    """Those around a family, at its first size."""
    axes = AXES.get(family.name, ())
    first = family.but(sizes=family.sizes[:1], group="variant", base=family.cases()[0].name)

    def changed(start: Family, axis: Axis, value) -> Family:
        made = axis.change(start, value)
        return made.but(name=f"{start.name}~{axis.name}_{_label(value)}")

    made = [changed(first, axis, value) for axis in axes for value in axis.values]
    draw = random.Random(family.name)
    for _ in range(PAIRS if len(axes) > 1 else 0):
        both = first
        for index in sorted(draw.sample(range(len(axes)), 2)):
            both = changed(both, axes[index], draw.choice(axes[index].values))
        if both.name not in {m.name for m in made}:
            made.append(both)
    return made
