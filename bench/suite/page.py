"""The page: one file without scripts or links, losses as plain as wins."""

from __future__ import annotations

import json
from html import escape
from pathlib import Path
from typing import Iterable, Sequence

from . import plots, scores
from .engines import ENGINES, OWN_F32, PRECISIONS
from .plots import milliseconds
from .store import Store

NAMES = {"limosa": "Limosa", "onnxruntime": "ONNX Runtime", "openvino": "OpenVINO",
         "torch": "torch.compile", "jax": "XLA (jax)", OWN_F32: "Limosa, f32"}
STYLE = """
body{font:15px/1.5 system-ui,sans-serif;margin:2em auto;max-width:72em;padding:0 1em;color:#223}
h1{font-size:1.6em;margin-bottom:.2em}h2{font-size:1.25em;margin-top:2.2em;border-bottom:2px solid #dde}
h3{font-size:1.05em;margin-top:1.6em}p{max-width:56em}
table{border-collapse:collapse;font-size:.88em;margin:.6em 0}
th,td{padding:.2em .7em;border-bottom:1px solid #e3e6eb;text-align:left;vertical-align:top}
th{background:#eef2f7}td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
svg{max-width:100%;height:auto}svg text{font:12.5px system-ui,sans-serif;fill:#223;white-space:pre}
svg text.small{font-size:11px;fill:#667}svg text.inside{font-size:10.5px;fill:#fff}
.cards{display:flex;flex-wrap:wrap;gap:1em;margin:1em 0}
.card{border:1px solid #dde;border-radius:6px;padding:.6em 1em;min-width:12em;background:#fafbfd}
.card b{font-size:1.7em;display:block;line-height:1.25}.card span{color:#556;font-size:.87em}
.faster{color:#2a7d4f}.slower{color:#b3392f}.same{color:#667}
.note{background:#fff6dd;border:1px solid #ecd9a0;border-radius:6px;padding:.5em 1em}
"""


class Cell(str):
    """A cell that is HTML already."""


def table(head: Sequence[str], rows: Iterable[Sequence], numbers: int = 0) -> str:
    """The last `numbers` columns are aligned as numbers."""
    def line(tag: str, cells: Sequence) -> str:
        first = len(cells) - numbers
        return "<tr>" + "".join(
            f'<{tag}{" class=n" if i >= first else ""}>'
            f'{c if isinstance(c, Cell) else escape(str(c))}</{tag}>'
            for i, c in enumerate(cells)) + "</tr>\n"
    body = "".join(line("td", row) for row in rows)
    return f"<table>{line('th', head)}{body}</table>\n" if body else "<p>None.</p>\n"


def megabytes(value: float) -> str:
    return f"{value / 2**20:.0f} MB"


def seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.2f} s" if value >= 0.1 else f"{1e3 * value:.1f} ms"


def short(text: str, limit: int = 60) -> str:
    return text if len(text) <= limit else text[:limit - 1].rstrip(" ,") + "\u2026"


def percent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.0f} %"


def _cards(records: list[dict]) -> str:
    html = '<div class="cards">'
    for words, part in scores.parts(records):
        ran = scores.compared(part)
        if not part:
            continue
        mean = scores.mean(ran)
        counts = {v: sum(scores.verdict(r) == v for r in ran) for v in plots.COLOURS}
        silent = len(part) - len(ran)
        html += (f'<div class="card"><span>{words}</span><b>{f"{mean:.2f}" if mean else "none"}</b>'
                 f'<span><span class="faster">{counts["faster"]} faster</span>, '
                 f'<span class="slower">{counts["slower"]} slower</span>, '
                 f'{counts["same"]} within noise'
                 + (f', <span class="slower">{silent} without a result</span>' if silent else "")
                 + "</span></div>")
    return html + "</div>\n"


def _times(records: list[dict], engines: Sequence[str]) -> str:
    rows = []
    for record in records:
        cells = [record["case"], f'{record["ratio"]:.2f} ({record["low"]:.2f} to '
                                 f'{record["high"]:.2f})']
        for name in engines:
            entry = record["engines"].get(name, {})
            if "median" not in entry:
                cells.append("did not run" if "error" in entry else "")
                continue
            text = milliseconds(entry["median"])
            if not entry.get("agrees", True):
                text = f'<span class="slower" title="outputs differ">{text} (differs)</span>'
            cells.append(Cell(f"<b>{text}</b>" if name == record["fastest"] else text))
        rows.append(cells)
    return table(["case", "ratio", *(NAMES[n] for n in engines)], rows, len(engines) + 1)


def _gains(records: list[dict], engines: Sequence[str]) -> str:
    """What a narrower type gains over f32, and what it costs."""
    rows = []
    for record in sorted(records, key=lambda r: r["over_f32"]["ratio"]):
        over = record["over_f32"]
        apart = (record["engines"].get(n, {}).get("difference") for n in engines)
        rows.append([record["case"],
                     f'{over["ratio"]:.2f} ({over["low"]:.2f} to {over["high"]:.2f})',
                     *("" if d is None else f"{d:.1e}" for d in apart)])
    return table(["case", "over Limosa's f32", *(f"{NAMES[n]} is off by" for n in engines)], rows,
                 len(engines) + 1)


def _roofline(records: list[dict], everything: list[dict]) -> str:
    rows = []
    for record in sorted(records, key=lambda r: scores.efficiency(r) or 0):
        found = record["inspect"]
        base = scores.against_base(record, everything) if record["base"] else None
        rows.append([record["case"], found["bound"], f'{found["flops"] * 1e-9:.3g}',
                     megabytes(found["bytes"]), seconds(found["roof_seconds"]),
                     seconds(record["engines"]["limosa"]["median"]),
                     percent(scores.efficiency(record)), "" if base is None else f"{base:.2f}"])
    return table(["case", "bound by", "GFLOP", "bytes", "roofline", "time", "of the roofline",
                  "of its base's part"], rows, 6)


def _kernels(records: list[dict], count: int = 5) -> str:
    html = ""
    for record in records[:count]:
        found = record["inspect"]
        html += f'<h3>{escape(record["case"])}: ratio {record["ratio"]:.2f}</h3>\n'
        html += table(["kernel", "ops", "nodes", "class", "launches", "time", "share", "of roof"],
                      [[k["template"], short(k["ops"]), short(k["nodes"]), k["class"],
                        f'{k["launches"]:.0f}', milliseconds(k["seconds"]),
                        percent(k["seconds"] / found["run_seconds"]), percent(k["of_roof"])]
                       for k in found["kernels"][:6]], 4)
    return html


def _compiling(records: list[dict]) -> str:
    rows = []
    for record in sorted(records, key=lambda r: -r["engines"]["limosa"].get("cold_seconds", 0)):
        entries = record["engines"]
        rows.append([record["case"], seconds(entries["limosa"].get("cold_seconds")),
                     seconds(entries["limosa"].get("cached_seconds")),
                     *(seconds(entries.get(n, {}).get("cold_seconds")) for n in ENGINES[1:])])
    return table(["case", "Limosa, cold", "Limosa, cached",
                  *(NAMES[n] for n in ENGINES[1:])], rows, len(ENGINES) + 1)


def _memory(records: list[dict]) -> str:
    rows = []
    for record in records:
        entries = {n: e for n, e in record["engines"].items() if e.get("peak_bytes")}
        above = {n: e["peak_bytes"] - e["base_bytes"] for n, e in entries.items()}
        if "limosa" not in above:
            continue
        other = above.get("onnxruntime")
        rows.append([record["case"], f'{above["limosa"] / other:.2f}' if other else "",
                     *(megabytes(above[n]) if n in above else "" for n in ENGINES)])
    rows.sort(key=lambda row: -float(row[1] or 0))
    return table(["case", "over ONNX Runtime's", *(NAMES[n] for n in ENGINES)], rows,
                 len(ENGINES) + 1)


def _settings(records: list[dict]) -> str:
    found: dict[tuple[str, str, str], int] = {}
    for record in records:
        for name, entry in record["engines"].items():
            if "settings" in entry:
                settings = {k: v for k, v in entry["settings"].items() if k != "failures"}
                text = ", ".join(f"{k} = {json.dumps(v) if isinstance(v, dict) else v}"
                                 for k, v in settings.items())
                where = (NAMES[name], entry["version"], text)
                found[where] = found.get(where, 0) + 1
    rows = [[*where, count] for where, count in sorted(found.items())]
    return table(["engine", "version", "settings", "results"], rows, 1)


def _machine(facts: dict) -> str:
    limits = "; ".join(f'{entry["threads"]} thread{"s"[:entry["threads"] > 1]}: '
                       f'{entry["f32_flops"] * 1e-9:.0f} GFLOP/s, '
                       f'{entry["read_bytes_per_second"] * 1e-9:.0f} GB/s'
                       for entry in facts.get("limits", []))
    text = (f'{facts.get("processor", "unknown processor")}, {facts.get("processors", "?")} '
            f'processors ({", ".join(facts.get("features", []))}), {facts.get("system", "")}. '
            f'Measured limits: {limits}. Commit {facts.get("commit", "unknown")}.')
    html = f"<p>{escape(text)}</p>\n"
    if facts.get("note"):
        html += f'<p class="note">{escape(facts["note"])}</p>\n'
    return html


READING = """<p>A <b>ratio</b> is the time of the fastest of the other engines over Limosa's: above 1
Limosa is faster, below 1 it is slower. The engines take turns in rounds, each in a process of its
own; a round compares medians, the dot is the median round, and the line through it is where eight
rounds of ten lie. Where the line crosses 1, the rounds do not agree on who is faster, and the dot is
grey. All engines compute in the same precision (f32 where nothing else is said) with the same number
of threads, each at the settings listed at the end. Worst cases come first.</p>
"""


def _narrow_section(threads: int, precision: str, records: list[dict]) -> str:
    engines = PRECISIONS[precision]
    ran = scores.compared(records)
    html = (f'<h2>{precision}, {threads} thread{"s"[:threads > 1]}: ratio to the fastest peer\'s '
            f"{precision}</h2>\n")
    html += f"<p>Values between kernels and weights are {precision}, sums f32.</p>\n" + _cards(records)
    if ran:
        html += plots.ratios(ran) + _times(ran, (*engines, OWN_F32))
    html += "<h3>What it gains over f32, and what it costs</h3>\n<p>Differences are from Limosa's f32 "
    html += "results, in parts of the largest value.</p>\n"
    return html + _gains([r for r in records if "over_f32" in r], engines)


def _section(threads: int, records: list[dict], everything: list[dict]) -> str:
    ran = scores.compared(records)
    html = f'<h2>{threads} thread{"s"[:threads > 1]}: ratio to the fastest peer</h2>\n'
    html += "<p>Geometric means of the ratios:</p>\n" + _cards(records)
    groups = [("suite", "Models"), ("variant", "Variants of the models"),
              ("sweep", "Bare products and convolutions")]
    for group, words in groups:
        part = [r for r in ran if r["group"] == group]
        if part:
            html += f"<h3>{words}</h3>\n" + plots.ratios(part)
    inspected = [r for r in ran if "inspect" in r]
    html += f"<h2>{threads} threads: times of all engines</h2>\n".replace("1 threads", "1 thread")
    html += "<p>Medians; the fastest peer's is bold.</p>\n" + _times(ran, ENGINES)
    html += "<h3>Time by class of ops</h3>\n<p>Of Limosa's kernels. A kernel counts as its first of "
    html += "products (convolutions too), normalisation (reductions, pooling, sorting), element-wise, "
    html += "movement; what is fused into a product counts as product.</p>\n"
    html += plots.classes(inspected)
    html += "<h3>Where the time of the worst cases goes</h3>\n" + _kernels(inspected)
    html += "<h3>Place on the roofline</h3>\n<p>The roofline of a model is the longer of its "
    html += "multiply-adds at the measured peak and of its weights, inputs and outputs at the measured "
    html += "bandwidth. What stays in the cache can be above 100 %.</p>\n"
    html += plots.roofline(inspected) + _roofline(inspected, everything)
    html += "<h3>Compile time</h3>\n<p>From loading the model to the end of the first run. Limosa "
    html += "compiles once (cold) and then loads what it kept (cached); the others compile at each "
    html += "start.</p>\n" + _compiling(ran)
    html += "<h3>Peak memory</h3>\n<p>Of the engine's process, above what it held after importing "
    html += "the engine.</p>\n" + _memory(ran)
    return html


def html(records: list[dict], facts: dict) -> str:
    """The whole page. Records without a Limosa time are listed at its end."""
    body = "<h1>Limosa and other engines</h1>\n" + _machine(facts) + READING
    for precision in PRECISIONS:
        part = [r for r in records if r["precision"] == precision]
        for threads in sorted({r["threads"] for r in part}, reverse=True):
            here = [r for r in part if r["threads"] == threads]
            body += (_section(threads, here, part) if precision == "f32"
                     else _narrow_section(threads, precision, here))
    body += "<h2>Engines, versions and settings</h2>\n" + _settings(records)
    body += "<h2>What did not run, or gave another result</h2>\n"
    body += table(["case", "threads", "engine", "what happened"], scores.troubles(records))
    return ('<!doctype html>\n<html lang="en"><meta charset="utf-8">\n'
            f"<title>Limosa and other engines</title>\n<style>{STYLE}</style>\n{body}</html>\n")


def write_page(store: Store) -> Path:
    """Writes index.html beside the results."""
    store.replace("index.html", html(store.load(), store.machine()))
    return store.folder / "index.html"
