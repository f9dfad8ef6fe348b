"""Writes one timm network with random weights as ONNX; runs in timm's environment."""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import timm  # noqa: E402
import torch  # noqa: E402
from export import capture, randomise, trace  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name")
    parser.add_argument("path", type=Path)
    parser.add_argument("--dynamo", action="store_true")
    parser.add_argument("--any-size", action="store_true")
    parser.add_argument("--opset", type=int, default=17)
    options = parser.parse_args()

    torch.manual_seed(0)
    net = timm.create_model(options.name, pretrained=False).eval()
    randomise(net)
    x = torch.randn(2, 3, 224, 224)
    axes = {0: "batch", 2: "height", 3: "width"} if options.any_size else {0: "batch"}
    if options.dynamo:
        capture(net, options.path, [x], ["x"], ["y"], [axes])
    else:
        trace(net, options.path, [x], ["x"], ["y"], {"x": axes, "y": {0: "batch"}}, options.opset)


if __name__ == "__main__":
    main()
