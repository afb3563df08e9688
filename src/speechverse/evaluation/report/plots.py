"""Plots as inline SVG that take their colours and letters from the page, so they follow dark mode
and its fonts.
"""

from __future__ import annotations

import io
import re
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from markupsafe import Markup, escape

from speechverse.errors import needs_extra

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Matplotlib needs real colours; these stand for the page's own, which are put in their place
# afterwards.
INK, SOFT, ACCENT, MARK, LINE = (f"#0{number}0{number}0{number}" for number in range(1, 6))
_PAGE_COLOURS = dict(
    zip((INK, SOFT, ACCENT, MARK, LINE), "ink soft accent mark line".split(), strict=True)
)
CARD_WIDTH = 3.4
POINTS = 72
HISTOGRAM_BINS = 40


class Bar(NamedTuple):
    """One system's value with its interval, in the units of the axis."""

    system: str
    value: float
    low: float
    high: float


def draw(width: float, height: float, label: str, paint: Any) -> Markup:
    """One SVG of that size in inches, painted by `paint(axes)`; `label` is for screen readers."""
    with needs_extra("the page with plots", "eval"):
        import matplotlib
        from matplotlib.figure import Figure
    style = {"svg.fonttype": "none", "svg.hashsalt": "speechverse"}
    with matplotlib.rc_context({**style, "font.size": 9, "axes.linewidth": 0.6}):
        figure = Figure(figsize=(width, height), layout="constrained")
        axes = figure.add_subplot()
        _plain(axes)
        paint(axes)
        file = io.StringIO()
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    return _for_page(file.getvalue(), label, width)


def _plain(axes: Axes) -> None:
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(LINE)
    axes.tick_params(colors=SOFT, labelcolor=SOFT, length=0)
    axes.xaxis.label.set_color(SOFT)
    axes.yaxis.label.set_color(SOFT)


def _name(axes: Axes, across: str, up: str, legends: Collection[str]) -> None:
    """Says what the axes are, and where several things are drawn, which is which."""
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    if len(legends) > 1:
        axes.legend(frameon=False, labelcolor=INK, fontsize=8)


def _for_page(svg: str, label: str, width: float) -> Markup:
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r' id="[a-zA-Z0-9]+_\d+"', "", svg)
    svg = re.sub(r"font-family:[^;\"]*|(?<=px )'[^;\"]*", "inherit", svg).replace("; inherit", "")
    svg = re.sub(r"font: ([\d.]+)px inherit", r"font-size: \1px", svg)
    for colour, name in _PAGE_COLOURS.items():
        svg = svg.replace(colour, f"var(--{name})")
    for side in ("width", "height"):
        svg = re.sub(rf'(<svg[^>]*?) {side}="[^"]*"', r"\1", svg, count=1)
    style = f"max-width:{width * POINTS * 1.25:.0f}px"
    frame = f'<svg role="img" aria-label="{escape(label)}" style="{style}"'
    return Markup(svg.replace("<svg", frame, 1).strip())


def score_plot(
    title: str, bars: Sequence[Bar], majority: float | None, own: str, limit: float | None
) -> Markup:
    """A dot with its interval for each system, from top to bottom; the majority class is a dashed
    line through all of them.

    Args:
        title: Task and metric, for screen readers.
        own: The system set off by colour.
        limit: Right end of the axis; None lets the values decide.
    """

    def paint(axes: Axes) -> None:
        for row, bar in enumerate(bars):
            colour, beside = ACCENT if bar.system == own else SOFT, axes.get_yaxis_transform()
            line: dict[str, Any] = {"linewidth": 2.2, "solid_capstyle": "round", "alpha": 0.55}
            axes.plot([bar.low, bar.high], [row, row], color=colour, **line)
            axes.plot([bar.value], [row], "o", color=colour, markersize=6, clip_on=False, zorder=3)
            number = f"{bar.value:.1f}"
            axes.text(1.05, row, number, color=INK, va="center", transform=beside)
        if majority is not None:
            axes.axvline(majority, color=MARK, linewidth=1.1, linestyle=(0, (3, 2)))
        axes.set_yticks(range(len(bars)), [bar.system for bar in bars], color=INK)
        axes.set_ylim(len(bars) - 0.4, -0.6)
        axes.set_xlim(0, limit or max(1.0, majority or 0.0, *(bar.high for bar in bars)) * 1.1)
        axes.grid(axis="x", color=LINE, linewidth=0.5)
        axes.set_axisbelow(True)

    return draw(CARD_WIDTH, 0.5 + 0.27 * len(bars), title, paint)


def layer_plot(weights: Mapping[str, Sequence[float]], use: str = "") -> Markup:
    """Learned weights of the encoder's layers in per cent, a row for each use, or for each model of
    one use.
    """
    layers = max(map(len, weights.values()))
    most, what = max(1e-9, *map(max, weights.values())), f"weight {use}".strip()

    def paint(axes: Axes) -> None:
        for row, values in enumerate(weights.values()):
            for layer, weight in enumerate(values, start=1):
                shade = 0.6 * max(0.0, weight) / most
                axes.barh(row, 0.96, height=0.9, left=layer - 0.48, color=ACCENT, alpha=shade)
                number: dict[str, Any] = {"color": INK, "ha": "center", "va": "center"}
                axes.text(layer, row, f"{100 * weight:.0f}", fontsize=8, **number)
        axes.set_yticks(range(len(weights)), list(weights), color=INK)
        axes.set_ylim(len(weights) - 0.4, -0.6)
        axes.set_xticks(range(1, layers + 1))
        axes.set_xlim(0.5, layers + 0.5)
        axes.set_xlabel(f"encoder layer; {what}, %")

    told = what.replace("weight", "weight of each encoder layer")
    width = 3 + 0.3 * max(8, layers)
    return draw(width, 0.6 + 0.25 * len(weights), f"{told}: {', '.join(weights)}", paint)


def curve_plot(
    name: str, curves: Mapping[str, Sequence[tuple[float, float]]], starts: Mapping[str, float]
) -> Markup:
    """One measured number over training steps, as points (step, value) by legend; stages begin at
    the dashed lines.
    """

    def paint(axes: Axes) -> None:
        for number, (legend, points) in enumerate(curves.items()):
            steps, values = zip(*points, strict=True)
            colour = (ACCENT, MARK, SOFT)[number % 3]
            marker = "o" if len(points) < 3 else None
            axes.plot(steps, values, color=colour, linewidth=1.4, label=legend, marker=marker)
        for stage, start in starts.items():
            axes.axvline(start, color=LINE, linewidth=0.8, linestyle=(0, (3, 2)))
            small: dict[str, Any] = {"color": SOFT, "va": "bottom", "fontsize": 8}
            axes.text(start, 1.0, f" {stage}", **small, transform=axes.get_xaxis_transform())
        axes.grid(axis="y", color=LINE, linewidth=0.5)
        _name(axes, "step", "", curves)

    return draw(5.2, 2.4, f"{name} over training steps", paint)


def histogram_plot(unit: str, values: Mapping[str, Sequence[float]], label: str) -> Markup:
    """How a number is spread, as shares of each group (by legend; none is empty), so that groups of
    unlike sizes compare. `label` is for screen readers.
    """

    def paint(axes: Axes) -> None:
        low = min(min(group) for group in values.values())
        high = max(max(group) for group in values.values())
        width = max((high - low) / HISTOGRAM_BINS, 1e-3)
        edges = [low + width * number for number in range(HISTOGRAM_BINS + 1)]
        edges[-1] = max(edges[-1], high)
        for number, (legend, group) in enumerate(values.items()):
            colour = (ACCENT, MARK, SOFT)[number % 3]
            drawn: dict[str, Any] = {"weights": [100 / len(group)] * len(group), "color": colour}
            axes.hist(group, edges, histtype="stepfilled", alpha=0.13, **drawn)
            axes.hist(group, edges, histtype="step", linewidth=1.4, label=legend, **drawn)
        axes.grid(axis="y", color=LINE, linewidth=0.5)
        axes.set_axisbelow(True)
        _name(axes, unit, "% of clips", values)

    return draw(5.2, 2.4, label, paint)
