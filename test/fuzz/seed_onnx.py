"""Copies small models of all kinds out of the onnx package: seeds of FuzzOnnx."""

import pathlib
import shutil
import sys

import onnx

KINDS = ["if", "loop11", "scan9_sum", "lstm_defaults", "conv_with_strides_padding",
         "reshape_negative_dim", "sequence_insert_at_back", "resize_upsample_scales_linear",
         "layer_normalization_2d_axis0_expanded", "qlinearmatmul_2D_uint8_float32", "constant_pad"]

cases = pathlib.Path(onnx.__file__).parent / "backend" / "test" / "data" / "node"
folder = pathlib.Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)
for kind in KINDS:
    model = cases / f"test_{kind}" / "model.onnx"
    if model.exists():
        shutil.copy(model, folder / f"{kind}.onnx")
