"""Runs a model in one engine; the helper process of `limosa bench --vs` and bench/suite.

Started with an engine, a model and inputs, it prints a line of JSON when it is
ready, with the settings in force, then answers each line `run N` with the seconds
of N runs, until its input ends. Each engine runs at its documented best setting
for the precision that was asked for: f32, also where it would choose bf16 by itself,
or bf16 with f32 sums.
"""

import argparse
import contextlib
import importlib.metadata
import importlib.util
import json
import os
import re
import sys
import time


def say(**answer):
    print(json.dumps({"limosa": 1, **answer}), flush=True)


def only_f32(options):
    if options.precision != "f32":
        raise RuntimeError(f"has no mode for {options.precision} that suits this comparison")


class Limosa:
    """Limosa by its Python module, at the same footing as the others."""

    def __init__(self, options, inputs):
        import limosa

        self.model = limosa.load(options.model, threads=options.threads,
                                 precision=options.precision)
        self.inputs = inputs
        self.names = [value.name for value in self.model.outputs]
        self.settings = {"isa": "auto", "from_cache": self.model.from_cache}

    def run(self):
        return list(self.model.run(self.inputs).values())


class OnnxRuntime:
    def __init__(self, options, inputs):
        import onnxruntime

        only_f32(options)
        session = onnxruntime.SessionOptions()
        session.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        session.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        session.intra_op_num_threads = options.threads
        session.inter_op_num_threads = 1
        session.log_severity_level = 3
        self.session = onnxruntime.InferenceSession(
            options.model, session, providers=["CPUExecutionProvider"])
        self.inputs = inputs
        self.names = [o.name for o in self.session.get_outputs()]
        self.settings = {
            "graph_optimization_level": session.graph_optimization_level.name,
            "execution_mode": session.execution_mode.name,
            "intra_op_num_threads": session.intra_op_num_threads,
            "session.intra_op.allow_spinning": "1 (default)",
            "enable_cpu_mem_arena": session.enable_cpu_mem_arena}

    def run(self):
        return self.session.run(self.names, self.inputs)


class OpenVino:
    SETTINGS = {"PERFORMANCE_HINT": "LATENCY", "EXECUTION_MODE_HINT": "PERFORMANCE",
                "NUM_STREAMS": 1}
    PRECISIONS = {"f32": "f32|float", "bf16": "bf16|bfloat16"}

    def __init__(self, options, inputs):
        import openvino

        self.settings = {**self.SETTINGS, "INFERENCE_PRECISION_HINT": options.precision,
                         "INFERENCE_NUM_THREADS": options.threads}
        compiled = openvino.Core().compile_model(options.model, "CPU", self.settings)
        self.request = compiled.create_infer_request()
        # A port has all names that the graph's tensors had before they became one.
        self.inputs = [inputs[next(n for n in port.names if n in inputs)]
                       for port in compiled.inputs]
        self.names = [sorted(port.names) for port in compiled.outputs]
        chosen = str(compiled.get_property("INFERENCE_PRECISION_HINT"))
        if not re.search(self.PRECISIONS[options.precision], chosen):
            raise RuntimeError(
                f"OpenVINO chose {chosen} though {options.precision} was asked for")

    def run(self):
        results = self.request.infer(self.inputs, share_inputs=True, share_outputs=True)
        return list(results.values())


class Torch:
    """The network's own torch module if there is one, or a translation of the graph."""

    SETTINGS = {"freezing": True, "max_autotune": True, "cpp_wrapper": True}

    def __init__(self, options, inputs):
        import torch

        torch.set_num_threads(options.threads)
        torch.set_float32_matmul_precision("highest")
        torch.backends.mkldnn.allow_bf16 = False
        narrow = options.precision == "bf16"

        @contextlib.contextmanager
        def mode():  # freezing wants no_grad
            with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=narrow):
                yield

        self.mode = mode
        self.settings = {"float32_matmul_precision": "highest", "threads": options.threads,
                         "autocast": options.precision}
        if options.torch_module:
            self.function, order, self.names = _load_module(options.torch_module)
            self.settings["source"] = "torch module"
        else:
            from onnx_graph import OnnxGraph, TorchOps

            graph = OnnxGraph(options.model, inputs)
            order, self.names = graph.input_names, graph.output_names
            self.function = graph.bind(TorchOps())
            self.settings["source"] = "translated from ONNX"
        self.inputs = [torch.from_numpy(inputs[name]) for name in order]
        if not options.torch_module:  # as torch's own graph, with the weights as its constants
            from torch.fx.experimental.proxy_tensor import make_fx

            with self.mode():
                self.function = make_fx(self.function)(*self.inputs)
        self.start = time.perf_counter()  # making the module is not the engine's work
        self._compile(torch)

    def _compile(self, torch):
        """Takes the best of torch.compile that works for this network."""
        eager, failures = self.function, []
        for off in ((), ("cpp_wrapper",), ("cpp_wrapper", "max_autotune")):
            chosen = {name: value and name not in off for name, value in self.SETTINGS.items()}
            torch._dynamo.reset()
            compiled = torch.compile(eager, dynamic=False, options=chosen)
            try:
                with self.mode():
                    compiled(*self.inputs)
            except Exception as error:  # such as a missing C++ compiler
                failures.append(f"{type(error).__name__}: {str(error).splitlines()[0][:120]}")
                continue
            self.function = compiled
            self.settings["torch.compile"] = chosen
            break
        else:
            self.settings["torch.compile"] = "failed, eager"
        if failures:
            self.settings["failures"] = failures
            print("torch.compile: " + "; ".join(failures), file=sys.stderr)

    def run(self):
        with self.mode():
            results = self.function(*self.inputs)
        results = list(results) if isinstance(results, (list, tuple)) else [results]
        # NumPy has no bfloat16, which autocast may leave results in.
        return [r.float() if str(r.dtype) == "torch.bfloat16" else r for r in results]


def _load_module(source):
    """`FILE.py:NAME`: what the file's `load(NAME)` gives: module, inputs, outputs."""
    path, _, name = source.rpartition(":")
    spec = importlib.util.spec_from_file_location("limosa_torch_module", path)
    file = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(file)
    return file.load(name)


class Jax:
    """XLA. It has no flag for the number of threads: it takes one per processor."""

    def __init__(self, options, inputs):
        only_f32(options)
        allowed = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, allowed[:options.threads])
        flags = f"--xla_cpu_multi_thread_eigen={'true' if options.threads > 1 else 'false'}"
        os.environ["XLA_FLAGS"] = f"{flags} {os.environ.get('XLA_FLAGS', '')}".strip()
        os.environ.setdefault("JAX_PLATFORMS", "cpu")
        import jax
        from onnx_graph import JaxOps, OnnxGraph

        jax.config.update("jax_default_matmul_precision", "highest")
        jax.config.update("jax_enable_x64", True)
        graph = OnnxGraph(options.model, inputs)
        self.names = graph.output_names
        self.function = jax.jit(graph.bind(JaxOps()))
        self.inputs = [jax.numpy.asarray(inputs[name]) for name in graph.input_names]
        self.block = jax.block_until_ready
        self.settings = {"XLA_FLAGS": os.environ["XLA_FLAGS"], "matmul_precision": "highest",
                         "processors": options.threads, "source": "translated from ONNX"}

    def run(self):
        return self.block(self.function(*self.inputs))


PEERS = {"limosa": Limosa, "onnxruntime": OnnxRuntime, "openvino": OpenVino, "torch": Torch,
         "jax": Jax}


def version(name):
    """The installed version, or "" where the package is missing."""
    if importlib.util.find_spec(name) is None:
        return ""
    if name == "limosa":
        import limosa

        return limosa.__version__
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "?"


def memory(field):
    """VmRSS or VmHWM (the peak) of this process in bytes; 0 where /proc is missing."""
    try:
        with open("/proc/self/status") as file:
            for line in file:
                if line.startswith(field + ":"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


def import_engine(name):
    """Imports it before the clock starts; returns the bytes held then."""
    importlib.import_module(name)
    try:
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")  # the peak counts from here
    except OSError:
        pass
    return memory("VmRSS")


def serve(options):
    import numpy as np

    with np.load(options.inputs) as file:
        inputs = {name: np.ascontiguousarray(file[name]) for name in file.files}
    base = import_engine(options.peer)
    start = time.perf_counter()
    peer = PEERS[options.peer](options, inputs)
    results = peer.run()
    ready = time.perf_counter() - getattr(peer, "start", start)
    np.savez(options.outputs, **{
        name: np.asarray(result) for names, result in zip(peer.names, results)
        for name in ([names] if isinstance(names, str) else names)})
    say(version=version(options.peer), settings=peer.settings, ready_seconds=ready,
        base_bytes=base)
    for line in sys.stdin:
        seconds = []
        for _ in range(int(line.split()[1])):
            start = time.perf_counter()
            peer.run()
            seconds.append(time.perf_counter() - start)
        say(seconds=seconds, peak_bytes=memory("VmHWM"))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--versions", action="store_true")
    parser.add_argument("--peer", choices=PEERS)
    parser.add_argument("--model")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--precision", choices=["f32", "bf16"], default="f32")
    parser.add_argument("--inputs")
    parser.add_argument("--outputs")
    parser.add_argument("--torch-module", metavar="FILE.py:NAME")
    options = parser.parse_args()
    if options.versions:
        print(json.dumps({name: version(name) for name in PEERS if name != "limosa"}))
        return
    if not version(options.peer):
        say(error=f"not installed; {sys.executable} -m pip install {options.peer}")
        return
    try:
        serve(options)
    except Exception as error:  # told to the command, which names the peer
        text = str(error).strip() or "no message"
        say(error=f"{type(error).__name__}: {text.splitlines()[0][:300]}")


if __name__ == "__main__":
    main()
