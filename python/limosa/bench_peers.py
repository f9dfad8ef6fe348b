"""Runs a model in another engine; the helper process of `limosa bench --vs`.

Started with a peer, a model and inputs, it prints a line of JSON when it is
ready, then answers each line `run N` with the seconds of N runs, until its input
ends. Every engine computes in f32, also where it would choose bf16 by itself.
"""

import argparse
import importlib.metadata
import importlib.util
import json
import os
import sys
import time


def say(**answer):
    print(json.dumps({"limosa": 1, **answer}), flush=True)


class OnnxRuntime:
    def __init__(self, model, inputs, threads):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self.session = onnxruntime.InferenceSession(
            model, options, providers=["CPUExecutionProvider"])
        self.inputs = inputs
        self.names = [o.name for o in self.session.get_outputs()]

    def run(self):
        return self.session.run(self.names, self.inputs)


class OpenVino:
    def __init__(self, model, inputs, threads):
        import openvino

        compiled = openvino.Core().compile_model(model, "CPU", {
            "INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": 1, "PERFORMANCE_HINT": "LATENCY"})
        self.request = compiled.create_infer_request()
        self.inputs = [inputs[port.any_name] for port in compiled.inputs]
        self.names = [port.any_name for port in compiled.outputs]

    def run(self):
        results = self.request.infer(self.inputs, share_inputs=True, share_outputs=True)
        return list(results.values())


class Torch:
    def __init__(self, model, inputs, threads):
        import torch
        from onnx_graph import OnnxGraph, TorchOps

        torch.set_num_threads(threads)
        torch.set_float32_matmul_precision("highest")
        torch.backends.mkldnn.allow_bf16 = False
        graph = OnnxGraph(model, inputs)
        self.names = graph.output_names
        self.function = graph.bind(TorchOps())
        self.inputs = [torch.from_numpy(inputs[name]) for name in graph.input_names]
        try:
            compiled = torch.compile(self.function)
            with torch.inference_mode():
                compiled(*self.inputs)
            self.function = compiled
        except Exception as error:  # inductor needs a C++ compiler
            print(f"torch.compile failed ({type(error).__name__}); eager", file=sys.stderr)
        self.mode = torch.inference_mode

    def run(self):
        with self.mode():
            return [result.numpy() for result in self.function(*self.inputs)]


class Jax:
    def __init__(self, model, inputs, threads):
        # XLA takes as many threads as the process has processors.
        allowed = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, allowed[:threads])
        os.environ.setdefault("JAX_PLATFORMS", "cpu")
        import jax
        from onnx_graph import JaxOps, OnnxGraph

        jax.config.update("jax_default_matmul_precision", "highest")
        jax.config.update("jax_enable_x64", True)
        graph = OnnxGraph(model, inputs)
        self.names = graph.output_names
        self.function = jax.jit(graph.bind(JaxOps()))
        self.inputs = [jax.numpy.asarray(inputs[name]) for name in graph.input_names]
        self.block = jax.block_until_ready

    def run(self):
        return self.block(self.function(*self.inputs))


PEERS = {"onnxruntime": OnnxRuntime, "openvino": OpenVino, "torch": Torch, "jax": Jax}


def version(name):
    """The installed version, or "" where the package is missing."""
    if importlib.util.find_spec(name) is None:
        return ""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "?"


def serve(options):
    import numpy as np

    with np.load(options.inputs) as file:
        inputs = {name: np.ascontiguousarray(file[name]) for name in file.files}
    peer = PEERS[options.peer](options.model, inputs, options.threads)
    results = peer.run()
    np.savez(options.outputs, **{n: np.asarray(r) for n, r in zip(peer.names, results)})
    say(version=version(options.peer))
    for line in sys.stdin:
        seconds = []
        for _ in range(int(line.split()[1])):
            start = time.perf_counter()
            peer.run()
            seconds.append(time.perf_counter() - start)
        say(seconds=seconds)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--versions", action="store_true")
    parser.add_argument("--peer", choices=PEERS)
    parser.add_argument("--model")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--inputs")
    parser.add_argument("--outputs")
    options = parser.parse_args()
    if options.versions:
        print(json.dumps({name: version(name) for name in PEERS}))
        return
    if not version(options.peer):
        say(error=f"not installed; {sys.executable} -m pip install {options.peer}")
        return
    try:
        serve(options)
    except Exception as error:  # told to the command, which names the peer
        say(error=f"{type(error).__name__}: {str(error).splitlines()[0][:300]}")


if __name__ == "__main__":
    main()
