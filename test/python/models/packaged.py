"""Models that Python packages carry as .onnx files: OCR and file types."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path

from .registry import Input, Unavailable, model


def _package_file(package: str, relative: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise Unavailable(f"the Python package {package} is not installed")
    return Path(spec.origin).parent / relative


def _image(height="height", width="width", kind="uniform"):
    return {"x": Input("float32", ("batch", 3, height, width), kind=kind)}


# A page, for on noise every probability is about 1e-5: onnxruntime's sigmoid is
# off by 1e-7 whatever its size (compared with one in f64).
@model(
    "ocr-det",
    _image(kind="page"),
    [dict(batch=1, height=128, width=192), dict(batch=2, height=192, width=320),
     dict(batch=1, height=736, width=736)],
)
def ocr_det(path):
    shutil.copy(_package_file("rapidocr_onnxruntime", "models/ch_PP-OCRv4_det_infer.onnx"), path)


@model("ocr-cls", _image(48, 192), [dict(batch=1), dict(batch=3), dict(batch=6)])
def ocr_cls(path):
    shutil.copy(
        _package_file("rapidocr_onnxruntime", "models/ch_ppocr_mobile_v2.0_cls_infer.onnx"), path)


@model(
    "ocr-rec",
    _image(48),
    [dict(batch=1, width=320), dict(batch=3, width=512), dict(batch=6, width=184)],
)
def ocr_rec(path):
    shutil.copy(_package_file("rapidocr_onnxruntime", "models/ch_PP-OCRv4_rec_infer.onnx"), path)


@model(
    "magika",
    {"bytes": Input("int32", ("batch", 2048), 0, 257, "integers")},
    [dict(batch=1), dict(batch=5)],
    tier="small",
)
def magika(path):
    shutil.copy(_package_file("magika", "models/standard_v3_3/model.onnx"), path)
