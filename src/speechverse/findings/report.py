"""What findings came to, as files: `findings.json`, a Markdown table and one page with plots."""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup
from pydantic import TypeAdapter

from speechverse import __version__
from speechverse.evaluation.provenance import LAYER_WEIGHTS
from speechverse.evaluation.report.curves import curve_plots, losses_together
from speechverse.evaluation.report.plots import ACCENT, INK, LINE, MARK, SOFT, draw, layer_plot
from speechverse.evaluation.report.render import render_page
from speechverse.evaluation.report.side_by_side import ranked, side_by_side
from speechverse.evaluation.report.views import results_view, worst_answers
from speechverse.evaluation.results import OWN, RESULTS, load_answers, load_results
from speechverse.files import write_text
from speechverse.findings.deciding import Decided, Row
from speechverse.findings.finding import HELD, NOT_HELD, NOT_SHOWN, NOT_TESTABLE
from speechverse.findings.runner import EVALUATIONS, MODELS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FINDINGS, TABLE, PAGE = "findings.json", "findings.md", "findings.html"
VERDICTS = (HELD, NOT_HELD, NOT_SHOWN, NOT_TESTABLE)
_COLOURS = {HELD: ACCENT, NOT_HELD: MARK}


@dataclass(frozen=True)
class Findings:
    """All that was decided of one model."""

    model: str
    recipe: str
    findings: tuple[Decided, ...]
    created: str = ""
    version: str = __version__

    @property
    def counts(self) -> str:
        """How many came out how, in words, with those that rest on a part of their comparisons."""
        came = {kind: [one for one in self.findings if one.verdict == kind] for kind in VERDICTS}
        return ", ".join(
            f"{len(ones)} {kind}{_in_part(ones)}" for kind, ones in came.items() if ones
        )


def _in_part(findings: Sequence[Decided]) -> str:
    part = [one.id for one in findings if one.summary != one.verdict]
    return f" ({' and '.join(part)} in part)" if part else ""


def write_numbers(folder: Path, made: Findings) -> Findings:
    """Writes `findings.json` and the table; findings that are there and were not decided anew
    stay.

    Returns:
        All that is there now.
    """
    place, kind = folder / FINDINGS, TypeAdapter(Findings)
    before = kind.validate_json(place.read_bytes()).findings if place.is_file() else ()
    by_id = {one.id: one for one in (*before, *made.findings)}
    ordered = sorted(by_id.values(), key=lambda one: (int(re.sub(r"\D", "", one.id)), one.id))
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    merged = replace(made, findings=tuple(ordered), created=now)
    write_text(place, kind.dump_json(merged, indent=1).decode() + "\n")
    write_text(folder / TABLE, markdown(merged))
    return merged


def write_page(folder: Path, made: Findings) -> None:
    """Writes the page, from the folder's own evaluations."""
    write_text(folder / PAGE, _page(folder, made))


def markdown(made: Findings) -> str:
    """The table of findings, then the comparisons of each with its command."""
    lines = [
        f"# Findings of {made.model}, {made.created[:10]}",
        "",
        f"Recipe `{made.recipe}`, speechverse {made.version}: {made.counts}.",
        "",
        *_table(
            ("", "claim", "in the paper", "verdict", "rests on"),
            [(f.id, f.claim, f.source, f"**{f.summary}**", _rests_on(f)) for f in made.findings],
        ),
    ]
    for found in made.findings:
        heads = ("", "verdict", "metric", "answers", "against", "gain in points", "p", "n")
        lines += ["", f"## {found.id}: {found.claim}", ""]
        lines += [f"{found.summary.capitalize()} ({_rests_on(found)}). {_likely(found)}".strip()]
        lines += ["", *_table(heads, [_cells(row) for row in found.rows])]
        lines += ["", "```sh", found.command, "```"]
    return "\n".join(lines) + "\n"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [
        "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in row) + " |"
        for row in (heads, ["---"] * len(heads), *rows)
    ]


def _rests_on(found: Decided) -> str:
    """How many of its comparisons hold."""
    counted = [row for row in found.rows if row.counts]
    made = [row for row in counted if row.verdict != NOT_TESTABLE]
    held = sum(row.verdict == HELD for row in made)
    told = f"{held} of {len(made)} comparisons hold; wanted: {found.rule}"
    lacking = len(counted) - len(made)
    return f"{told}; {lacking} could not be made" if lacking else told


def _likely(found: Decided) -> str:
    """Why a claim may not have come out."""
    asked = found.verdict in (NOT_HELD, NOT_SHOWN) and found.reason
    return f"A likely reason: {found.reason}." if asked else ""


def _cells(row: Row) -> tuple[str, ...]:
    """A comparison as a table shows it."""
    what = row.what if row.counts else f"({row.what})"
    if row.gain is None or row.better_value is None or row.than_value is None:
        return what, f"{row.verdict}: {row.why}", "", "", "", "", "", ""
    close = f", close is −{row.margin:g}" if row.margin else ""
    return (
        what,
        f"{row.verdict}: {row.why}" if row.why else row.verdict,
        row.metric,
        f"{row.better}: {_format_interval(row.better_value)}",
        f"{row.than}: {_format_interval(row.than_value)}",
        f"{row.gain.value:+.1f} ({row.gain.low:+.1f} to {row.gain.high:+.1f}{close})",
        f"{row.p_value:.3f}",
        str(row.num_examples),
    )


def _format_interval(interval: Any) -> str:
    return f"{interval.value:.1f} ({interval.low:.1f} to {interval.high:.1f})"


def _page(folder: Path, made: Findings) -> str:
    shown: set[str] = set()
    return render_page(
        "findings.html",
        "speechverse.findings",
        title=f"Findings of {made.model}",
        kind="speechverse reproduce",
        heading=f"Findings of {made.model}",
        lead=f"The paper's claims on this model and data: {made.counts}.",
        facts={
            "recipe": made.recipe,
            "version": made.version,
            "made": made.created[:16].replace("T", " ") + " UTC",
        },
        findings=[_view(folder, found, shown) for found in made.findings],
        heads=("", "verdict", "metric", "answers", "against", "gain in points", "p", "n"),
        own=OWN,
    )


def _view(folder: Path, found: Decided, shown: set[str]) -> Mapping[str, Any]:
    """A finding as the page shows it, with the answers of the evaluations nobody has shown yet."""
    asked = folder / EVALUATIONS
    there = [name for name in found.evaluations if (asked / name / RESULTS).is_file()]
    new = [name for name in there if name not in shown]
    shown.update(new)
    plotted = [row for row in found.rows if row.gain is not None]
    return {
        "found": found,
        "rests_on": _rests_on(found),
        "likely": _likely(found),
        "plot": gain_plot(found.claim, plotted) if plotted else "",
        "rows": [_cells(row) for row in found.rows],
        "evaluations": [(name, f"{EVALUATIONS}/{name}/report.html") for name in there],
        "asked": [_evaluation_view(asked / name) for name in new],
        "curves": _curves(folder / MODELS, found.trainings, there),
        "layers": _layers({name: asked / name for name in there if name in found.trainings}),
    }


def _curves(
    models: Path, trainings: Sequence[str], asked: Sequence[str]
) -> list[tuple[str, Markup]]:
    """How the losses fell: of the models that were asked in one plot, then each by itself."""
    logs = {name: models / name / "metrics.jsonl" for name in trainings}
    together = losses_together({name: log for name, log in logs.items() if name in asked})
    plots = [("Losses of the models compared", together)] if together else []
    return plots + [
        (f"{name}: {what}", plot)
        for name, log in logs.items()
        for what, plot in curve_plots(log)[:2]
    ]


def _evaluation_view(folder: Path) -> Mapping[str, Any]:
    """One evaluation: all its scores, the worst answers and those that no program judges."""
    results, answers = load_results(folder), load_answers(folder)
    return {
        "name": folder.name,
        "view": results_view(results, OWN),
        "worst": worst_answers(results, ranked(answers), OWN),
        "shown": side_by_side(answers),
    }


def _layers(folders: Mapping[str, Path]) -> list[Markup]:
    """What the models that were trained for a finding learned to hear of each encoder layer, one
    below the other, those of a group of tasks too; a plot for each use.
    """
    models = {name: load_results(folder).model for name, folder in folders.items()}
    plots = []
    for key, use in LAYER_WEIGHTS.items():
        every = {name: about.get(key) or () for name, about in models.items()}
        if learned := {name: weights for name, weights in every.items() if len(weights) > 1}:
            plots.append(layer_plot(learned, use))
    return plots


def gain_plot(claim: str, rows: Sequence[Row]) -> Markup:
    """Each comparison's gain with its interval, from top to bottom; right of the line is as
    claimed, a tick on it is what still counts as close.
    """

    def paint(axes: Axes) -> None:
        axes.axvline(0, color=LINE, linewidth=1.0)
        for place, row in enumerate(rows):
            assert row.gain is not None
            colour = _COLOURS.get(row.verdict, SOFT)
            axes.plot([row.gain.low, row.gain.high], [place, place], color=colour, linewidth=2.2)
            face = colour if row.counts else "none"
            dot: dict[str, Any] = {"color": colour, "markerfacecolor": face, "markersize": 6}
            axes.plot([row.gain.value], [place], "o", **dot, zorder=3)
            if row.margin:
                axes.plot([-row.margin] * 2, [place - 0.3, place + 0.3], color=LINE, linewidth=1.2)
        axes.set_yticks(range(len(rows)), [row.what for row in rows], color=INK)
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.set_xlabel("gain in points, 95 % interval (right of 0: as claimed)")
        axes.grid(axis="x", color=LINE, linewidth=0.5)
        axes.set_axisbelow(True)

    return draw(6.4, 0.7 + 0.25 * len(rows), f"{claim}: gains of {len(rows)} comparisons", paint)
