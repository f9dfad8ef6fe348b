"""Pictures of the page, as SVG."""

from __future__ import annotations

import math
from html import escape
from typing import Sequence

from .scores import efficiency, verdict

COLOURS = {"faster": "#2a7d4f", "slower": "#b3392f", "same": "#7a7f87"}
CLASS_COLOURS = {"products": "#4a7ab5", "normalisation": "#c98a2b", "element-wise": "#5f9e6e",
                 "movement": "#a45a8c", "other": "#8a8f98", "between kernels": "#d5d9df"}
ROW = 19


def _svg(width: float, height: float, body: Sequence[str]) -> str:
    return (f'<svg viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" role="img">'
            + "".join(body) + "</svg>\n")


def _text(x: float, y: float, words: str, anchor: str = "start", style: str = "") -> str:
    return (f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
            f'{f" class={style}" if style else ""}>{escape(words)}</text>')


def milliseconds(seconds: float) -> str:
    value = 1e3 * seconds
    return f"{value:.0f} ms" if value >= 100 else f"{value:.3g} ms"


def ratios(records: Sequence[dict]) -> str:
    """A dot with its interval per case, on a logarithmic axis around 1."""
    left, width, right = 250, 460, 330
    ticks = [0.25, 0.33, 0.5, 0.67, 0.8, 1, 1.25, 1.5, 2, 3, 4]
    low = min([0.5, *(r["low"] for r in records), *(r["ratio"] for r in records)])
    high = max([2, *(r["high"] for r in records), *(r["ratio"] for r in records)])
    low, high = max(low * 0.97, 0.05), min(high * 1.03, 20)

    def x(value: float) -> float:
        at = math.log(min(max(value, low), high) / low) / math.log(high / low)
        return left + at * width

    top, height = 22, 22 + ROW * len(records) + 6
    body = []
    for tick in ticks:
        if low <= tick <= high:
            body.append(f'<line x1="{x(tick):.1f}" x2="{x(tick):.1f}" y1="{top - 4}" y2="{height}" '
                        f'stroke="{"#334" if tick == 1 else "#e3e6eb"}"/>')
            body.append(_text(x(tick), top - 8, f"{tick:g}", "middle", "small"))
    for row, record in enumerate(records):
        y = top + ROW * row + ROW / 2 + 2
        colour = COLOURS[verdict(record)]
        own = record["engines"]["limosa"]["median"]
        peer = record["engines"][record["fastest"]]["median"]
        body += [
            _text(left - 8, y + 4, record["case"], "end"),
            f'<line x1="{x(record["low"]):.1f}" x2="{x(record["high"]):.1f}" y1="{y}" y2="{y}" '
            f'stroke="{colour}" stroke-width="3" stroke-opacity=".45"/>',
            f'<circle cx="{x(record["ratio"]):.1f}" cy="{y}" r="4.5" fill="{colour}">'
            f'<title>{record["low"]:.2f} to {record["high"]:.2f}</title></circle>',
            f'<text x="{left + width + 12}" y="{y + 4}"><tspan fill="{colour}" font-weight="bold">'
            f'{record["ratio"]:.2f}</tspan>  {milliseconds(own)}; {escape(record["fastest"])} '
            f'{milliseconds(peer)}</text>']
    return _svg(left + width + right, height, body)


def classes(records: Sequence[dict]) -> str:
    """A bar per case: which part of the time goes to which class of ops."""
    left, width = 250, 560
    height = ROW * len(records) + 30
    body = []
    at = left
    for name, colour in CLASS_COLOURS.items():
        body.append(f'<rect x="{at}" y="2" width="11" height="11" fill="{colour}"/>')
        body.append(_text(at + 15, 12, name, style="small"))
        at += 32 + 7 * len(name)
    for row, record in enumerate(records):
        found = record["inspect"]
        parts = {**found["classes"], "between kernels": found["between_kernels"]}
        total = sum(parts.values()) or 1
        y, x = 22 + ROW * row, float(left)
        body.append(_text(left - 8, y + 12, record["case"], "end"))
        for name, seconds in parts.items():
            share = seconds / total
            body.append(f'<rect x="{x:.1f}" y="{y}" width="{share * width:.1f}" height="14" '
                        f'fill="{CLASS_COLOURS[name]}"><title>{escape(name)}: '
                        f'{100 * share:.0f} %</title></rect>')
            if share > 0.07:
                body.append(_text(x + share * width / 2, y + 11, f"{100 * share:.0f} %",
                                  "middle", "inside"))
            x += share * width
        body.append(_text(left + width + 10, y + 12, milliseconds(total), style="small"))
    return _svg(left + width + 90, height, body)


def roofline(records: Sequence[dict]) -> str:
    """Cases by multiply-adds per byte and by speed, under what the machine allows."""
    width, height, margin = 900.0, 430.0, 56.0
    points = [(r["inspect"]["flops"] / max(r["inspect"]["bytes"], 1),
               r["inspect"]["flops"] / r["engines"]["limosa"]["median"], r)
              for r in records if r["inspect"]["flops"] > 0]
    if not points:
        return ""
    peak = records[0]["inspect"]["peak_flops"]
    bandwidth = records[0]["inspect"]["bandwidth"]
    low_x, high_x = min(0.25, *(p[0] for p in points)) / 1.3, max(256, *(p[0] for p in points)) * 1.3
    low_y, high_y = min(peak / 64, *(p[1] for p in points)) / 1.3, peak * 1.6

    def x(value: float) -> float:
        return margin + math.log(value / low_x) / math.log(high_x / low_x) * (width - 2 * margin)

    def y(value: float) -> float:
        return height - margin - math.log(value / low_y) / math.log(high_y / low_y) * (
            height - 2 * margin)

    ridge = peak / bandwidth
    corners = [(low_x, max(low_x * bandwidth, low_y)), (ridge, peak), (high_x, peak)]
    line = " ".join(f"{x(a):.1f},{y(b):.1f}" for a, b in corners)
    body = [f'<polyline points="{line}" fill="none" stroke="#334" stroke-width="2"/>',
            _text(x(high_x), y(peak) - 7, f"{peak * 1e-9:.0f} GFLOP/s measured", "end", "small"),
            _text(x(ridge) - 10, y(peak) - 7, f"{bandwidth * 1e-9:.0f} GB/s measured", "end",
                  "small"),
            _text(width / 2, height - 14, "floating-point operations per byte of weights, inputs "
                  "and outputs", "middle", "small"),
            _text(4, 14, "GFLOP/s", style="small")]
    for power in range(-2, 14):
        if low_x <= 2.0**power <= high_x:
            body.append(_text(x(2.0**power), height - margin + 16, f"{2.0**power:g}", "middle",
                              "small"))
    step = 10 ** math.floor(math.log10(low_y))
    while step < high_y:
        for tick in (step, 2 * step, 5 * step):
            if low_y <= tick <= high_y:
                body.append(_text(margin - 6, y(tick) + 4, f"{tick * 1e-9:g}", "end", "small"))
        step *= 10
    for intensity, speed, record in points:
        colour = COLOURS[verdict(record)] if "ratio" in record else COLOURS["same"]
        part = efficiency(record)
        body.append(f'<circle cx="{x(intensity):.1f}" cy="{y(speed):.1f}" r="5" fill="{colour}" '
                    f'fill-opacity=".6"><title>{escape(record["case"])}: {speed * 1e-9:.0f} '
                    f'GFLOP/s, {100 * part:.0f} % of the roof</title></circle>')
    return _svg(width, height, body)
