"""The page of an evaluation: one self-contained HTML file made from its files alone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from markupsafe import Markup

from speechverse.evaluation.provenance import LAYER_WEIGHTS
from speechverse.evaluation.report.curves import curve_plots
from speechverse.evaluation.report.plots import layer_plot
from speechverse.evaluation.report.reliability import calibration_cards
from speechverse.evaluation.report.render import render_page
from speechverse.evaluation.report.side_by_side import ranked, side_by_side
from speechverse.evaluation.report.views import confusion_cards, results_view, worst_answers
from speechverse.evaluation.results import OWN, Results, load_answers, load_results
from speechverse.files import write_text
from speechverse.metrics import get_metric

REPORT = "report.html"


def write_report(folder: Path, metrics_file: Path | None = None) -> Path:
    """Writes `report.html` beside the results it shows, with curves of the training run's
    `metrics.jsonl`.

    Raises:
        UserError: If there are no results of this version's schema.
        MissingExtraError: If matplotlib is not installed.
    """
    results, answers = load_results(folder), load_answers(folder)
    name = results.model.get("name", "model")
    page = render_page(
        "report.html",
        title=f"{name} on {results.corpus['name']}",
        kind="speechverse evaluation",
        heading=name,
        lead=summary(results),
        facts=_facts(results),
        view=results_view(results, OWN),
        own=OWN,
        confusions=confusion_cards(results, OWN),
        calibrations=calibration_cards(results, OWN),
        worst=worst_answers(results, ranked(answers), OWN),
        shown=side_by_side(answers),
        about_model=_about_model(results),
        layers=_layers(results),
        curves=curve_plots(metrics_file),
    )
    write_text(folder / REPORT, page)
    return folder / REPORT


def _facts(results: Results) -> dict[str, str]:
    held_out = results.settings["wording"] == "held_out"
    return {
        "corpus": f"{results.corpus['name']}, split {results.corpus['split']}",
        "asked in": "instructions held out from training" if held_out else "seen instructions",
        "answers": f"{sum(timing.num_answers for timing in results.timings):,}",
        "made": results.created[:16].replace("T", " ") + " UTC",
    }


def summary(results: Results) -> str:
    """On how many tasks the model is ahead of the better cascade, and on how many beyond doubt."""
    ahead, clear, compared = 0, 0, 0
    for report in results.tasks:
        own, rival = results.score(report.name, OWN), results.best_of(report.name, results.cascades)
        if own is None or rival is None:
            continue
        sign = 1 if get_metric(report.metrics[0]).higher_is_better else -1
        compared += 1
        ahead += sign * own.value > sign * rival.value
        clear += own.low > rival.high if sign > 0 else own.high < rival.low
    if not compared:
        names = ", ".join(report.title for report in results.tasks)
        return f"{_count(len(results.tasks), 'task')} evaluated: {names}."
    return (
        f"The model's score is better than that of the better cascade on {ahead} of"
        f" {_count(compared, 'task')}; on {clear} of them the 95 % intervals do not touch."
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _about_model(results: Results) -> list[tuple[str, object]]:
    names = {
        "encoder": "speech encoder",
        "llm": "LLM",
        "lora": "LoRA",
        "max_audio_seconds": "longest clip, s",
    }
    found = {told: results.model[name] for name, told in names.items() if results.model.get(name)}
    if isinstance(lora := found.get("LoRA"), Mapping):
        found["LoRA"] = ", ".join(f"{name} {x}" for name, x in lora.items() if x is not None)
    return list(found.items())


def _layers(results: Results) -> Markup | None:
    weights = {use: results.model.get(name) for name, use in LAYER_WEIGHTS.items()}
    learned = {use: found for use, found in weights.items() if found and len(found) > 1}
    return layer_plot(learned) if learned else None
