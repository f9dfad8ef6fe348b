"""How torch modules become .onnx files, by either of torch's two exporters."""

from __future__ import annotations

import warnings
from pathlib import Path


def randomise(module, seed: int = 0) -> None:
    """Gives every constant-initialised parameter and statistic random values.

    Default initialisation leaves batch norm at the identity and some residual
    branches at zero, which would hide errors in them.
    """
    import torch

    generator = torch.Generator().manual_seed(seed)

    def fill(tensor, low, high):
        with torch.no_grad():
            tensor.copy_(torch.rand(tensor.shape, generator=generator) * (high - low) + low)

    for part in module.modules():
        if isinstance(part, torch.nn.modules.batchnorm._BatchNorm):
            fill(part.running_mean, -0.2, 0.2)
            fill(part.running_var, 0.8, 1.2)
    for parameter in module.parameters():
        values = parameter.detach()
        if not parameter.is_floating_point() or values.numel() == 0:
            continue
        if bool((values == values.flatten()[0]).all()):
            centre = float(values.flatten()[0])
            spread = 0.2 if centre else 0.1
            fill(parameter, centre - spread, centre + spread)


def trace(module, path: Path, arguments, inputs, outputs, axes, opset=17) -> None:
    """Exports with the tracing exporter. `axes`: {tensor: {dimension: name}}."""
    import torch

    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module.eval(), tuple(arguments), str(path), dynamo=False,
            input_names=list(inputs), output_names=list(outputs), dynamic_axes=axes,
            opset_version=opset, do_constant_folding=True)


def capture(module, path: Path, arguments, inputs, outputs, shapes, opset=18,
            external_data=False) -> None:
    """Exports with torch.export. `shapes`: one {dimension: name} per argument."""
    import torch

    names: dict = {}

    def dim(name):
        return names.setdefault(name, torch.export.Dim(name, min=1, max=4096))

    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module.eval(), tuple(arguments), str(path), dynamo=True, verbose=False,
            input_names=list(inputs), output_names=list(outputs),
            dynamic_shapes=tuple({d: dim(n) for d, n in s.items()} for s in shapes),
            opset_version=opset, external_data=external_data)
