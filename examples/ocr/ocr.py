"""Reads the text of a picture: three OCR models compiled and run by Limosa.

The models and what stands before and after them (scaling, boxes from the
probability map, characters from the scores) come from rapidocr-onnxruntime;
its onnxruntime session is replaced by `LimosaSession`. Without a picture as an
argument one is drawn, so that the right answer is known and checked.
"""

import argparse
import sys
import time
from pathlib import Path

import limosa
import numpy as np
from onnx_metadata import read_metadata

LINES = ["Limosa lapponica", "flies 11,000 km without a stop", "from Alaska to New Zealand"]


class LimosaSession:
    """Has the methods of rapidocr's OrtInferSession, and runs on Limosa."""

    threads = None
    device = "cpu"
    load_seconds = 0.0
    run_seconds = 0.0
    runs = 0

    def __init__(self, config):
        path = config["model_path"]
        start = time.perf_counter()
        self.model = limosa.load(path, device=self.device, threads=self.threads)
        seconds = time.perf_counter() - start
        LimosaSession.load_seconds += seconds
        print(f"    {Path(path).name}: ready in {seconds:.2f} s", flush=True)
        self.metadata = read_metadata(path)

    def __call__(self, pixels):
        start = time.perf_counter()
        results = self.model.run({self.model.inputs[0].name: np.ascontiguousarray(pixels)})
        LimosaSession.run_seconds += time.perf_counter() - start
        LimosaSession.runs += 1
        return [results[output.name] for output in self.model.outputs]

    def get_input_names(self):
        return [value.name for value in self.model.inputs]

    def get_output_names(self):
        return [value.name for value in self.model.outputs]

    def have_key(self, key="character"):
        return key in self.metadata

    def get_character_list(self, key="character"):
        return self.metadata[key].splitlines()


def make_reader():
    """RapidOCR with its three sessions replaced."""
    from rapidocr_onnxruntime import RapidOCR, ch_ppocr_cls, ch_ppocr_det, ch_ppocr_rec

    for module in (ch_ppocr_det.text_detect, ch_ppocr_cls.text_cls, ch_ppocr_rec.text_recognize):
        module.OrtInferSession = LimosaSession
    return RapidOCR()


def draw(path):
    from PIL import Image, ImageDraw, ImageFont

    picture = Image.new("RGB", (680, 290), (250, 248, 240))
    pen = ImageDraw.Draw(picture)
    pen.rectangle((12, 12, 667, 277), outline=(90, 120, 160), width=3)
    for row, line in enumerate(LINES):
        font = ImageFont.load_default(size=36)
        pen.text((50, 45 + 78 * row), line, fill=(30, 30, 60), font=font)
    picture.save(path)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("picture", nargs="?", help="a picture; default: one is drawn")
    parser.add_argument("--threads", type=int, help="worker threads; default: all cores")
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    LimosaSession.threads, LimosaSession.device = options.threads, options.device

    picture = options.picture
    if picture is None:
        picture = Path(__file__).resolve().parents[2] / "build" / "demo.png"
        picture.parent.mkdir(exist_ok=True)
        draw(picture)
        print(f"    drew {picture}")
    elif not Path(picture).is_file():
        sys.exit(f"error: no picture at {picture}")

    read = make_reader()
    start = time.perf_counter()
    found, _ = read(str(picture))
    first = time.perf_counter() - start
    start = time.perf_counter()
    LimosaSession.run_seconds = LimosaSession.runs = 0
    found, _ = read(str(picture))
    second = time.perf_counter() - start

    print("Text found:")
    texts = [text for _, text, _ in found or []]
    for _, text, score in found or []:
        print(f"    {text}   ({float(score):.2f})")
    if not texts:
        print("    none")
    print(f"Timing: models ready in {LimosaSession.load_seconds:.2f} s; first reading "
          f"{first * 1e3:.0f} ms, second {second * 1e3:.0f} ms, of which "
          f"{LimosaSession.run_seconds * 1e3:.0f} ms in {LimosaSession.runs} model runs")
    if options.picture is None and "".join(texts).replace(" ", "") != "".join(LINES).replace(" ", ""):
        sys.exit(f"error: the picture says {LINES}")


if __name__ == "__main__":
    main()
