"""Training curves from a run's `metrics.jsonl`: losses, then each task's score on validation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from markupsafe import Markup

from speechverse.evaluation.report.plots import curve_plot
from speechverse.files import read_log
from speechverse.metrics import FAULTS_OF_FORM, METRICS

MAX_POINTS = 400
VALIDATION = "validation/"


def curve_plots(metrics_file: Path | None) -> list[tuple[str, Markup]]:
    """Plots of what a run logged, by what they show; none where there is no log."""
    records = [r for r in read_log(metrics_file) if "step" in r] if metrics_file else []
    names = {"training": "loss", "validation": f"{VALIDATION}loss"}
    losses = {legend: _points(records, name) for legend, name in names.items()}
    plots = {"Loss": {legend: points for legend, points in losses.items() if points}}
    if not plots["Loss"]:
        return []
    for name in sorted({name for record in records for name in record if _is_score(name)}):
        plots[name.removeprefix(VALIDATION)] = {name: _points(records, name)}
    runs = groupby(records, key=lambda record: record.get("stage"))
    starts = {stage: next(run)["step"] for stage, run in runs if stage}
    return [(name, curve_plot(name, curves, starts)) for name, curves in plots.items()]


def losses_together(logs: Mapping[str, Path]) -> Markup | None:
    """The training losses of several runs in one plot, by name; None where fewer than two have
    any.
    """
    found = {name: _points(read_log(log), "loss") for name, log in logs.items()}
    curves = {name: points for name, points in found.items() if points}
    return curve_plot("Losses", curves, {}) if len(curves) > 1 else None


def _is_score(name: str) -> bool:
    """Names such as `validation/wer/asr`."""
    metric = name.removeprefix(VALIDATION).partition("/")[0]
    return name.startswith(VALIDATION) and metric in METRICS and metric not in FAULTS_OF_FORM


def _points(records: Sequence[Mapping[str, Any]], name: str) -> Sequence[tuple[float, float]]:
    numbers = ((r["step"], r.get(name)) for r in records if "step" in r)
    points = [(step, number) for step, number in numbers if isinstance(number, int | float)]
    return points[:: max(1, len(points) // MAX_POINTS)]
