"""The models of the suite. Rows only: what they are made of is in networks.py."""

from __future__ import annotations

from .case import Case, Family, Input
from .sweeps import sweeps
from .variants import variants

BATCHES = (dict(batch=1), dict(batch=8))


def pictures(size: int = 224) -> tuple[Input, ...]:
    return (Input("x", ("batch", 3, size, size)),)


def text(vocabulary: int) -> tuple[Input, ...]:
    return (Input("input_ids", ("batch", "seq"), "int64", vocabulary),
            Input("attention_mask", ("batch", "seq"), "int64"),
            Input("token_type_ids", ("batch", "seq"), "int64", 2))


def cached_step(layers: int, heads: int, width: int) -> tuple[Input, ...]:
    """Inputs of a decoder that is given the keys and values of the past."""
    cache = (Input(f"past.{layer}.{part}", ("batch", heads, "past", width))
             for layer in range(layers) for part in ("key", "value"))
    return (Input("input_ids", ("batch", "seq"), "int64", 50257),
            Input("attention_mask", ("batch", "past + seq"), "int64"), *cache)


def _torchvision(name: str, model: str, tags: tuple, **fields) -> Family:
    return Family(name, "torchvision", pictures(), dict(model=model), BATCHES, tags, **fields)


def _timm(name: str, model: str, tags: tuple, size: int = 224) -> Family:
    return Family(name, "timm", pictures(size), dict(model=model), BATCHES, tags)


def _lstm(hidden: int, layers: int) -> Family:
    return Family(f"lstm-{hidden}x{layers}", "lstm", (Input("x", (100, "batch", hidden)),),
                  dict(width=hidden, hidden=hidden, layers=layers),
                  (dict(batch=1), dict(batch=16)), ("recurrent",))


def suite() -> list[Family]:
    short, long = 128, 384
    return [
        _torchvision("resnet18", "resnet18", ("conv",)),
        _torchvision("resnet50", "resnet50", ("conv",)),
        _torchvision("resnext101-32x8d", "resnext101_32x8d", ("conv",)),
        _torchvision("mobilenetv2", "mobilenet_v2", ("conv", "light")),
        _torchvision("mobilenetv3", "mobilenet_v3_large", ("conv", "light")),
        _timm("efficientnet-b0", "efficientnet_b0", ("conv", "light")),
        _timm("efficientnet-b4", "efficientnet_b4", ("conv", "light"), 320),
        _timm("vit-b16", "vit_base_patch16_224", ("product", "attention")),
        _timm("convnext-t", "convnext_tiny", ("conv", "product")),
        _timm("swin-t", "swin_tiny_patch4_window7_224", ("product", "attention")),
        Family("unet", "unet", pictures(256), dict(width=32, depth=4), BATCHES,
               ("conv", "light")),
        Family("bert-base", "bert", text(30522), {},
               (dict(batch=1, seq=short), dict(batch=1, seq=long), dict(batch=8, seq=short)),
               ("product", "attention")),
        Family("bert-large", "bert", text(30522),
               dict(hidden_size=1024, num_hidden_layers=24, num_attention_heads=16,
                    intermediate_size=4096),
               (dict(batch=1, seq=short), dict(batch=1, seq=long)), ("product", "attention")),
        Family("minilm", "bert", text(30522),
               dict(hidden_size=384, num_hidden_layers=6, num_attention_heads=12,
                    intermediate_size=1536),
               (dict(batch=1, seq=short), dict(batch=8, seq=short), dict(batch=1, seq=16)),
               ("product", "attention", "light")),
        Family("gpt2-prefill", "gpt2",
               (Input("input_ids", ("batch", "seq"), "int64", 50257),
                Input("attention_mask", ("batch", "seq"), "int64")), {},
               (dict(batch=1, seq=short),), ("product", "attention")),
        Family("gpt2-token", "gpt2", cached_step(12, 12, 64), {},
               (dict(batch=1, seq=1, past=short), dict(batch=8, seq=1, past=short)),
               ("product", "attention", "bandwidth")),
        *(_lstm(hidden, layers) for hidden in (256, 1024) for layers in (1, 4)),
        Family("ocr-det", "packaged", (Input("x", ("batch", 3, 736, 736)),),
               dict(package="rapidocr_onnxruntime", file="models/ch_PP-OCRv4_det_infer.onnx"),
               tags=("conv", "light")),
        Family("ocr-cls", "packaged", (Input("x", ("batch", 3, 48, 192)),),
               dict(package="rapidocr_onnxruntime",
                    file="models/ch_ppocr_mobile_v2.0_cls_infer.onnx"),
               (dict(batch=1), dict(batch=6)), ("conv", "light")),
        Family("ocr-rec", "packaged", (Input("x", ("batch", 3, 48, 320)),),
               dict(package="rapidocr_onnxruntime", file="models/ch_PP-OCRv4_rec_infer.onnx"),
               (dict(batch=1), dict(batch=6)), ("conv", "light")),
    ]


def all_cases() -> list[Case]:
    """Suite, variants, sweeps; in each the first size of every family comes first."""
    families = suite()
    groups = [families, [v for family in families for v in variants(family)], sweeps()]
    cases = []
    for group in groups:
        turns = [family.cases() for family in group]
        for turn in range(max(map(len, turns))):
            cases += [sizes[turn] for sizes in turns if turn < len(sizes)]
    return cases
