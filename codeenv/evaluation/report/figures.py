"""Figures as SVG text. Colours are CSS classes (`s0`, `s1`, ... and `v-<verdict>`), so that a theme can change them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from html import escape

from codeenv.evaluation.report.data import Curve, Figure, Series

__all__ = ["flow_figure", "histogram_figure", "line_figure", "nice_ticks", "whisker"]

WIDTH, HEIGHT = 560, 300
LEFT, RIGHT, TOP, BOTTOM = 52, 14, 12, 42
SERIES_COLOURS = 8


def series_class(number: int) -> str:
    """Return the style of a series: a colour, and dashes once the colours are used up."""
    return f"s{number % SERIES_COLOURS}" + (" alt" if number >= SERIES_COLOURS else "")


def line_figure(curve: Curve) -> Figure:
    """Draw a line chart; intervals become bands, or whiskers where x is discrete."""
    points = [(x, y) for series in curve.series for x, y in zip(series.x, series.y, strict=True) if math.isfinite(y)]
    if not points:
        return Figure(curve.title, _svg([_text(WIDTH / 2, HEIGHT / 2, "no data", "middle")], curve.title), note=curve.note)
    bounds = [bound for series in curve.series for bound in (*series.low, *series.high) if math.isfinite(bound)]
    low, high = min([y for _, y in points] + bounds), max([y for _, y in points] + bounds)
    if curve.percent:
        low, high = 0.0, min(1.0, max(0.05, high * 1.08))
    ticks = nice_ticks(low, high)
    low, high = min(low, ticks[0]), max(high, ticks[-1])
    x_low, x_high = min(x for x, _ in points), max(x for x, _ in points)
    at_x = _scale(x_low, x_high, LEFT, WIDTH - RIGHT, curve.log_x, 0.08 if curve.discrete else 0.02)
    at_y = _scale(low, high, HEIGHT - BOTTOM, TOP)
    parts = _axes(ticks, at_y, curve.percent, curve.x_label, curve.y_label)
    for value in _x_ticks(curve, x_low, x_high):
        parts.append(_text(at_x(value), HEIGHT - BOTTOM + 16, _number(value), "middle", "tick"))
    for number, series in enumerate(curve.series):
        parts.append(_draw_series(series, number, len(curve.series), curve, at_x, at_y))
    legend = [(series_class(number), series.name) for number, series in enumerate(curve.series)]
    return Figure(curve.title, _svg(parts, curve.title), legend if len(legend) > 1 or legend[0][1] else (), curve.note)


def _draw_series(
    series: Series, number: int, count: int, curve: Curve, at_x: Callable[[float], float], at_y: Callable[[float], float]
) -> str:
    colour = series_class(number)
    shift = (number - (count - 1) / 2) * min(7.0, 40.0 / count) if curve.discrete else 0.0
    places = [
        (at_x(x) + shift, at_y(y), x, y, index)
        for index, (x, y) in enumerate(zip(series.x, series.y, strict=True))
        if math.isfinite(y)
    ]
    parts = [f'<g class="{colour}">']
    bounded = bool(series.low)
    if bounded and not curve.discrete:
        upper = [f"{px:.1f},{at_y(series.high[i]):.1f}" for px, _, _, _, i in places]
        lower = [f"{px:.1f},{at_y(series.low[i]):.1f}" for px, _, _, _, i in reversed(places)]
        parts.append(f'<polygon class="band" points="{" ".join(upper + lower)}"/>')
    parts.append(f'<polyline class="line" points="{" ".join(f"{px:.1f},{py:.1f}" for px, py, *_ in places)}"/>')
    for px, py, x, y, i in places if len(places) <= 60 else places[:: len(places) // 30]:
        label = f"{series.name + ': ' if series.name else ''}{_number(x)}, {_value(y, curve.percent)}"
        if bounded:
            label += f" ({_value(series.low[i], curve.percent)} to {_value(series.high[i], curve.percent)})"
            if curve.discrete:
                parts.append(f'<path class="whisker" d="M{px:.1f},{at_y(series.low[i]):.1f}V{at_y(series.high[i]):.1f}"/>')
        parts.append(f'<circle class="dot" cx="{px:.1f}" cy="{py:.1f}" r="3.2"><title>{escape(label)}</title></circle>')
    return "".join(parts) + "</g>"


def histogram_figure(title: str, x_label: str, groups: Mapping[str, Sequence[float]], bins: int = 20, note: str = "") -> Figure:
    """Draw the shares of values in equal bins of 0 to 1, one outline per group; exact zeros have a bin of their own."""
    counts = {name: _binned(values, bins) for name, values in groups.items() if values}
    if not counts:
        return Figure(title, _svg([_text(WIDTH / 2, HEIGHT / 2, "no data", "middle")], title), note=note)
    top = max(max(shares) for shares in counts.values())
    ticks = nice_ticks(0.0, max(0.05, top))
    at_y = _scale(0.0, max(ticks[-1], top), HEIGHT - BOTTOM, TOP)
    columns = bins + 1
    width = (WIDTH - LEFT - RIGHT) / columns
    parts = _axes(ticks, at_y, True, x_label, "share of steps")
    parts.append(_text(LEFT + width / 2, HEIGHT - BOTTOM + 16, "same", "middle", "tick"))
    for share in (0.25, 0.5, 0.75, 1.0):
        parts.append(_text(LEFT + width * (1 + share * bins), HEIGHT - BOTTOM + 16, f"{share:g}", "middle", "tick"))
    base = at_y(0.0)
    bar = width * 0.86 / len(counts)
    for number, (name, shares) in enumerate(counts.items()):
        parts.append(f'<g class="{series_class(number)}">')
        for column, share in enumerate(shares):
            if share > 0:
                x = LEFT + column * width + width * 0.07 + number * bar
                where = "the same program again" if column == 0 else f"{(column - 1) / bins:g} to {column / bins:g}"
                label = escape(f"{name}: {where}: {share:.1%}")
                box = f'x="{x:.1f}" y="{at_y(share):.1f}" width="{max(bar, 1):.1f}" height="{base - at_y(share):.1f}"'
                parts.append(f'<rect class="bar" {box}><title>{label}</title></rect>')
        parts.append("</g>")
    legend = [(series_class(number), name) for number, name in enumerate(counts)]
    return Figure(title, _svg(parts, title), legend if len(legend) > 1 else (), note)


def _binned(values: Sequence[float], bins: int) -> list[float]:
    counts = [0] * (bins + 1)
    for value in values:
        counts[0 if value == 0.0 else 1 + min(bins - 1, int(value * bins))] += 1
    return [count / len(values) for count in counts]


def flow_figure(title: str, flow: Sequence[Mapping[tuple[str, str], int]], order: Sequence[str], note: str = "") -> Figure:
    """Draw how episodes move between public verdicts from turn to turn: a column of verdicts per turn, bands between them."""
    total = sum(flow[0].values()) if flow else 0
    if not total:
        return Figure(title, _svg([_text(WIDTH / 2, HEIGHT / 2, "one turn only: nothing flows", "middle")], title), note=note)
    columns: list[dict[str, int]] = [{} for _ in range(len(flow) + 1)]
    for turn, links in enumerate(flow):
        for (before, after), count in links.items():
            if turn == 0:
                columns[0][before] = columns[0].get(before, 0) + count
            columns[turn + 1][after] = columns[turn + 1].get(after, 0) + count
    gap, node = 6.0, 15.0
    rank = {name: number for number, name in enumerate(order)}
    most = max(len(column) for column in columns)
    scale = (HEIGHT - TOP - 34 - gap * (most - 1)) / total
    step = (WIDTH - 160 - node) / max(1, len(columns) - 1)
    tops: list[dict[str, float]] = []
    parts = []
    for turn, column in enumerate(columns):
        y, x, caption_y = float(TOP), 12 + turn * step, -math.inf
        tops.append({})
        for name in sorted(column, key=lambda name: rank.get(name, len(rank))):
            height = column[name] * scale
            label = escape(f"turn {turn + 1}: {name}: {column[name]} of {total} episodes ({column[name] / total:.1%})")
            box = f'x="{x:.1f}" y="{y:.1f}" width="{node}" height="{max(height, 1):.1f}" rx="2"'
            parts.append(f'<rect class="v-{name}" {box}><title>{label}</title></rect>')
            if turn == len(columns) - 1:
                caption = f"{name.replace('_', ' ')} {column[name] / total:.0%}"
                caption_y = max(y + height / 2 + 4, caption_y + 13)
                parts.append(_text(x + node + 6, caption_y, caption, "start", "tick"))
            tops[turn][name] = y
            y += height + gap
        parts.append(_text(x + node / 2, HEIGHT - 8, f"turn {turn + 1}", "middle", "tick"))
    links_drawn = []
    for turn, links in enumerate(flow):
        out, into = dict(tops[turn]), dict(tops[turn + 1])
        x0, x1 = 12 + turn * step + node, 12 + (turn + 1) * step
        middle = (x0 + x1) / 2
        for before, after in sorted(links, key=lambda pair: (rank.get(pair[0], 99), rank.get(pair[1], 99))):
            height = links[before, after] * scale
            a, b = out[before], into[after]
            out[before], into[after] = a + height, b + height
            label = escape(f"turn {turn + 1} {before} to turn {turn + 2} {after}: {links[before, after]} episodes")
            links_drawn.append(
                f'<path class="flow v-{before}" d="M{x0:.1f},{a:.1f}C{middle:.1f},{a:.1f} {middle:.1f},{b:.1f} {x1:.1f},{b:.1f}'
                f"V{b + height:.1f}C{middle:.1f},{b + height:.1f} {middle:.1f},{a + height:.1f} {x0:.1f},{a + height:.1f}Z"
                f'"><title>{label}</title></path>'
            )
    return Figure(title, _svg(links_drawn + parts, title), note=note)


def whisker(value: float, low: float, high: float, top: float = 1.0) -> str:
    """Return a small interval bar for a table cell, on a scale from 0 to `top`."""
    if not all(map(math.isfinite, (value, low, high))) or top <= 0:
        return ""
    x, x0, x1 = (4 + 82 * min(1.0, max(0.0, item / top)) for item in (value, low, high))
    return (
        '<svg class="whisk" viewBox="0 0 90 12" aria-hidden="true"><path class="axis" d="M4,6H86"/>'
        f'<path class="range" d="M{x0:.1f},6H{x1:.1f}"/><circle cx="{x:.1f}" cy="6" r="3.4"/></svg>'
    )


def nice_ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Return about `count` round values from at most `low` to at least `high` or the last round value below it.

    >>> nice_ticks(0, 1)
    [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    """
    span = high - low
    if span <= 0:
        return [low, low + 1.0]
    raw = span / count
    size = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * size for factor in (1, 2, 2.5, 5, 10) if factor * size >= raw * 0.999)
    first = math.floor(low / step + 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(number * step, 10) for number in range(first, last + 1)]


def _x_ticks(curve: Curve, low: float, high: float) -> list[float]:
    values = sorted({x for series in curve.series for x in series.x})
    if curve.log_x and len(values) <= 6:
        return values
    if curve.discrete:
        return values if len(values) <= 12 else values[:: -(-len(values) // 12)]
    if curve.log_x and low > 0:
        return [v for v in (m * 10.0**e for e in range(-3, 9) for m in (1, 2, 5)) if low <= v <= high] or [low, high]
    return [tick for tick in nice_ticks(low, high, 6) if low <= tick <= high]


def _scale(low: float, high: float, start: float, end: float, log: bool = False, pad: float = 0.0) -> Callable[[float], float]:
    if log and low > 0:
        inner = _scale(math.log(low), math.log(high), start, end, pad=pad)
        return lambda value: inner(math.log(value))
    span = (high - low) or 1.0
    room = (end - start) * pad
    return lambda value: start + room + (value - low) / span * (end - start - 2 * room)


def _axes(ticks: Sequence[float], at_y: Callable[[float], float], percent: bool, x_label: str, y_label: str) -> list[str]:
    parts = []
    for tick in ticks:
        y = at_y(tick)
        parts.append(f'<path class="grid" d="M{LEFT},{y:.1f}H{WIDTH - RIGHT}"/>')
        parts.append(_text(LEFT - 8, y + 4, f"{tick:.0%}" if percent else _number(tick), "end", "tick"))
    parts.append(_text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 6, x_label, "middle", "label"))
    y_middle = (TOP + HEIGHT - BOTTOM) / 2
    parts.append(
        f'<text class="label" text-anchor="middle" transform="translate(12 {y_middle:.0f}) rotate(-90)">{escape(y_label)}</text>'
    )
    return parts


def _text(x: float, y: float, text: str, anchor: str, kind: str = "label") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _svg(parts: Sequence[str], title: str) -> str:
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">{"".join(parts)}</svg>'


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 and value == int(value) else f"{value:g}"


def _value(value: float, percent: bool) -> str:
    return f"{value:.1%}" if percent else f"{value:.4g}"
