"""ImageDecoder on pictures of all kinds, against Pillow."""

from pathlib import Path

import numpy as np
import pytest
from test_onnx_graphs import model, node, onnx

Image = pytest.importorskip("PIL.Image")

UINT8 = onnx.TensorProto.UINT8
PICTURES = sorted((Path(__file__).parents[1] / "fuzz" / "corpus" / "images").iterdir())


@pytest.fixture(scope="module")
def decode(limosa, tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    models = {}
    for form in ("RGB", "BGR", "Grayscale"):
        path = folder / f"{form}.onnx"
        onnx.save(model([node("ImageDecoder", ["x"], ["y"], pixel_format=form)],
                        {"x": (UINT8, ["N"])}, {"y": UINT8}, opset=20), path)
        models[form] = limosa.load(path)

    def call(data, form="RGB"):
        return models[form].run({"x": np.frombuffer(data, np.uint8)})["y"]

    return call


@pytest.mark.parametrize("path", PICTURES, ids=lambda path: path.name)
def test_formats(decode, path):
    data = path.read_bytes()
    with Image.open(path) as image:
        expected = np.asarray(image.convert("RGBA").convert("RGB") if image.mode == "RGBA"
                              else image.convert("RGB"))
    # Four inks become colours in more than one way.
    tolerance = 3 if path.name == "inks.jpg" else 0
    got = decode(data)
    assert got.shape == expected.shape
    assert np.abs(got.astype(int) - expected).max() <= tolerance
    assert np.array_equal(decode(data, "BGR"), got[:, :, ::-1])
    grey = decode(data, "Grayscale")
    assert grey.shape == (*got.shape[:2], 1)
    assert np.array_equal(grey[..., 0], np.asarray(Image.fromarray(got).convert("L")))


@pytest.mark.parametrize("data, why", [
    (b"", "no picture"), (b"hello", "no picture"), (b"\x89PNG\r\n\x1a\n", "PNG picture"),
    (b"BM" + b"\xff" * 60, "BMP picture"), (b"P6 100000 100000 255 ", "PNM picture"),
    (b"II*\0\xff\xff\xff\xff", "TIFF picture"), (b"RIFF\0\0\0\0WEBPVP8 ", "WebP picture"),
])
def test_bad_bytes(limosa, decode, data, why):
    with pytest.raises(limosa.Error, match=why):
        decode(data)


@pytest.mark.parametrize("path", PICTURES, ids=lambda path: path.name)
def test_truncated(limosa, decode, path):
    data = path.read_bytes()
    for end in range(4, len(data), max(1, len(data) // 12)):
        try:
            decode(data[:end])
        except limosa.Error as error:
            assert "\n" not in str(error)
