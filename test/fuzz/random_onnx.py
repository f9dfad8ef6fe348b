#!/usr/bin/env python3
"""Random ONNX graphs, compiled by Limosa, against onnxruntime.

A graph grows node by node out of the rules in random_onnx_ops.py; each node is tried in onnxruntime first,
so that every graph is valid and its values are finite. It is compiled with some of its sizes unknown. A
difference counts unless onnxruntime itself differs as much, without its optimisations or after changing
the last bit of the inputs. Each graph follows from its number alone.

  random_onnx.py --count 10000 --jobs 2         the long run
  random_onnx.py --first 4711 --count 1 --keep  one graph again, its model kept
"""

import argparse
import collections
import concurrent.futures
import queue
import random
import subprocess
import sys
import tempfile
import threading

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper
from random_onnx_ops import RULES
from random_pool import Pool, draw

# What docs/frontend.md says is refused when the program runs.
REFUSED = ["positions must be equal (0 and -1)"]
TOLERANCE = {"float16": 5e-3, "float32": 1e-4, "float64": 1e-4}


def session(model, optimised=True):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    if not optimised:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def value_info(name, array, dims=None):
    return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), dims or array.shape)


def assemble(nodes, inputs, outputs, constants, opset):
    graph = helper.make_graph(nodes, "random", inputs, [onnx.ValueInfoProto(name=n) for n in outputs],
                              [numpy_helper.from_array(a, n) for n, a in constants.items()])
    return helper.make_model(graph, ir_version=9, opset_imports=[helper.make_opsetid("", opset)])


def reasonable(array):
    if array.size > 50000:
        return False
    return array.dtype.kind != "f" or bool(np.isfinite(array).all() and np.abs(array).max(initial=0) < 3e4)


class Graph:
    """A random model, its inputs and which of their sizes have names."""

    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.opset = self.rng.choice([18, 19, 20, 21, 22])
        self.pool = Pool(self.rng, self.opset)
        self.nodes, self.used = [], set()
        self.inputs = {}
        for _ in range(self.rng.randint(1, 3)):
            shape = [self.rng.choice([1, 2, 3, 4, 6, 8, 17]) for _ in range(self.rng.choice([1, 2, 3, 3, 4, 4]))]
            dtype = self.rng.choice(["float32"] * 5 + ["int64", "bool", "float16"])
            name = self.pool.name()
            self.inputs[name] = self.pool.values[name] = draw(self.rng, dtype, shape)
        wanted = self.rng.randint(3, 20)
        for _ in range(4 * wanted):
            if len(self.nodes) < wanted:
                self.grow()
        leaves = [o for n in self.nodes for o in n.output if o and o not in self.used]
        extra = [o for n in self.nodes for o in n.output if o and o in self.used and self.rng.random() < 0.1]
        constants = {n: a for n, a in self.pool.constants.items() if n in self.used}
        self.model = assemble(self.nodes, [value_info(n, a, self.dims(a)) for n, a in self.inputs.items()],
                              leaves + extra, constants, self.opset)

    def dims(self, array):
        return [f"size{d}" if self.rng.random() < 0.5 else d for d in array.shape]

    def grow(self):
        weights, rules = zip(*RULES)
        drawn = self.rng.choices(rules, weights)[0](self.pool)
        if not drawn:
            return
        nodes = []
        for op, inputs, outputs, attributes in drawn:
            names = outputs if isinstance(outputs, list) else [self.pool.name() for _ in range(outputs)]
            nodes.append(helper.make_node(op, inputs, names, name=f"{op}_{len(self.nodes) + len(nodes)}",
                                          **attributes))
        made = [o for n in nodes for o in n.output]
        read = {i for n in nodes for i in n.input if i} - set(made)
        given = {n: self.pool.values[n] for n in read if n in self.pool.values}
        alone = assemble(nodes, [value_info(n, a) for n, a in given.items()], made,
                         {n: self.pool.constants[n] for n in read if n not in given}, self.opset)
        try:
            values = session(alone).run(None, given)
        except Exception:  # onnxruntime does not take it: nothing to compare with
            return
        if not all(map(reasonable, values)):
            return
        self.nodes += nodes
        self.used |= read | {i for n in nodes for i in n.input}
        self.pool.values.update(zip(made, values))


def nudged(feeds, rng):
    """The inputs with about the last bit changed: onnxruntime itself keeps values of f16 graphs in f32."""
    source = np.random.default_rng(rng.randrange(1 << 30))

    def nudge(array):
        step = 2.5 * np.finfo(array.dtype).eps * source.standard_normal(array.shape)
        return (array * (1 + step)).astype(array.dtype)

    return {n: nudge(a) if a.dtype.kind == "f" else a for n, a in feeds.items()}


def differs(have, want, others):
    """Why a result is wrong, or None. `others` are as right as `want`."""
    if have.dtype != want.dtype or have.shape != want.shape:
        # Values may decide a size: NonZero of rounded numbers.
        known = any(o.shape == have.shape and o.dtype == have.dtype for o in others)
        return None if known else f"is {have.dtype}{have.shape}, not {want.dtype}{want.shape}"
    if any(o.shape != want.shape for o in others) or not want.size:
        return None
    if want.dtype.kind != "f":
        wrong = (have != want) & np.logical_and.reduce([o == want for o in others])
        sensitive = any((o != want).any() for o in others)
        return f"differs in {wrong.sum()} of {want.size}" if wrong.any() and not sensitive else None
    tolerance = TOLERANCE[want.dtype.name]
    have, want, *others = (a.astype(np.float64) for a in (have, want, *others))
    if not np.isfinite(have).all():
        return "is not finite"
    apart, scale = np.abs(have - want).max(), np.abs(want).max()
    slack = sum(np.abs(o - want).max() for o in others)
    allowed = tolerance * scale + 20 * slack
    return f"is off by {apart:.3g}, largest value {scale:.3g}, allowed {allowed:.3g}" if apart > allowed else None


class NothingToCompare(Exception):
    pass


def check(limosa, seed, keep):
    graph = Graph(seed)
    if not graph.nodes:
        raise NothingToCompare
    if keep:
        onnx.save(graph.model, keep)
    try:
        plain = session(graph.model, optimised=False)
        want = plain.run(None, graph.inputs)
        others = [session(graph.model).run(None, graph.inputs), plain.run(None, nudged(graph.inputs, graph.rng))]
    except Exception as error:  # It takes the nodes one by one only.
        raise NothingToCompare from error
    names = [o.name for o in plain.get_outputs()]
    with tempfile.TemporaryDirectory() as folder:
        onnx.save(graph.model, f"{folder}/model.onnx")
        limosa.compile(f"{folder}/model.onnx", f"{folder}/model.lim", threads=2)
        have = limosa.load(f"{folder}/model.lim", threads=2).run(graph.inputs)
    for k, name in enumerate(names):
        why = differs(have[name], want[k], [o[k] for o in others])
        if why:
            maker = next(n for n in graph.nodes if name in n.output)
            return f"output {name} of {maker.name} {why}"
    return None


def work(first, count, keep):
    """Checks some graphs and reports each as a line; a crash is noticed by what is missing."""
    import limosa

    for seed in range(first, first + count):
        print("begin", seed, flush=True)
        try:
            why = check(limosa, seed, keep)
        except NothingToCompare:
            print("skip", seed, flush=True)
            continue
        except Exception as error:
            refused = any(text in str(error) for text in REFUSED)
            why = None if refused else "raised " + str(error)[:600].replace("\n", " ")
        print("end", seed, why or "", flush=True)


def supervise(first, count, options, report):
    """Runs `work` in a process, again behind a graph that kills or stops it."""
    last = first + count
    while first < last:
        command = [sys.executable, __file__, "--worker", "--first", str(first), "--count", str(last - first)]
        process = subprocess.Popen(command + (["--keep"] if options.keep else []), stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True)
        lines = queue.Queue()
        threading.Thread(target=lambda p=process, q=lines: ([q.put(line) for line in p.stdout], q.put(None)),
                         daemon=True).start()
        at = first
        while True:
            try:
                line = lines.get(timeout=options.timeout)
            except queue.Empty:
                process.kill()
                report(at, f"takes more than {options.timeout} s")
                break
            if line is None:
                if process.wait():
                    report(at, f"ends the process with {process.returncode}: {process.stderr.read()[-300:]}")
                else:
                    at = last
                break
            word, number, *why = line.rstrip("\n").split(" ", 2)
            at = int(number)
            if word != "begin":
                report(at, why[0] if why else "", compared=word == "end")
        first = at + 1


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--timeout", type=float, default=120)
    parser.add_argument("--keep", action="store_true", help="keeps the model as random-onnx.onnx")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        return work(options.first, options.count, "random-onnx.onnx" if options.keep else None)
    done, findings, lock = collections.Counter(), [], threading.Lock()

    def report(seed, why, compared=True):
        with lock:
            done["graphs"] += 1
            done["compared"] += compared
            if why:
                findings.append(seed)
                print(f"{seed}: {why}", flush=True)
            if sys.stderr.isatty():
                print(f"\r{done['graphs']} of {options.count}", end="", file=sys.stderr)

    last, chunk = options.first + options.count, 200
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for begin in range(options.first, last, chunk):
            pool.submit(supervise, begin, min(chunk, last - begin), options, report)
    print(f"{done['graphs']} graphs, {done['compared']} compared, {len(findings)} findings")
    return 1 if findings or done["graphs"] != options.count else 0


if __name__ == "__main__":
    sys.exit(main())
