"""Image networks from timm, exported in an environment of their own.

timm needs torchvision, and torchvision needs a torch that is not the pinned
one, so a subprocess in the second environment (timm_env.py) writes the file.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from .registry import Input, Unavailable, model
from .timm_env import timm_python

_FIXED = {"x": Input("float32", ("batch", 3, 224, 224))}
_BATCHES = [dict(batch=1), dict(batch=3)]
_ANY = {"x": Input("float32", ("batch", 3, "height", "width"))}
_ANY_SIZES = [dict(batch=1, height=224, width=224), dict(batch=2, height=160, width=256)]


def _write(name: str, path: Path, *options: str) -> None:
    python = timm_python()
    script = Path(__file__).with_name("timm_export.py")
    run = subprocess.run([str(python), str(script), name, str(path), *options],
                         capture_output=True, text=True)
    if run.returncode:
        sys.stderr.write(run.stdout[-2000:] + run.stderr[-4000:])
        raise Unavailable(f"timm could not export {name}")


@model("resnet50", _FIXED, _BATCHES)
def resnet50(path):
    _write("resnet50", path)


@model("resnet50-anysize", _ANY, _ANY_SIZES)
def resnet50_anysize(path):
    _write("resnet50", path, "--any-size", "--opset=13")


@model("resnet50-dynamo", _FIXED, _BATCHES)
def resnet50_dynamo(path):
    _write("resnet50", path, "--dynamo")


@model("mobilenetv3", _FIXED, _BATCHES)
def mobilenetv3(path):
    _write("mobilenetv3_large_100", path)


@model("mobilenetv3-dynamo", _FIXED, _BATCHES)
def mobilenetv3_dynamo(path):
    _write("mobilenetv3_large_100", path, "--dynamo")


@model("efficientnet-b0", _FIXED, _BATCHES)
def efficientnet_b0(path):
    _write("efficientnet_b0", path)


@model("efficientnet-b0-dynamo", _FIXED, _BATCHES)
def efficientnet_b0_dynamo(path):
    _write("efficientnet_b0", path, "--dynamo")


@model("vit-s", _FIXED, _BATCHES)
def vit_s(path):
    _write("vit_small_patch16_224", path)


@model("vit-s-dynamo", _FIXED, _BATCHES)
def vit_s_dynamo(path):
    _write("vit_small_patch16_224", path, "--dynamo")
