"""The page as a whole: what comes first, what stands under it, and where it is read from."""

from __future__ import annotations

from html import escape
from pathlib import Path

from speechverse.evaluation.provenance import LAYER_WEIGHTS
from speechverse.evaluation.report.curves import curves_section
from speechverse.evaluation.report.document import (
    bullets,
    details,
    fact_list,
    html_document,
    page_header,
    section,
    table,
    text_row,
)
from speechverse.evaluation.report.examples import examples_section
from speechverse.evaluation.report.plots import layer_plot
from speechverse.evaluation.report.scores import confusion_section, scores_section, slices_section
from speechverse.evaluation.results import Results, load_answers, load_results
from speechverse.files import write_text
from speechverse.metrics import get_metric

OWN = "speechverse"
REPORT = "report.html"
CASCADES = ("cascade", "cascade-ctc", "cascade-whisper", "cascade-whisper-tuned")


def write_report(folder: Path, metrics_file: Path | None = None) -> Path:
    """Writes `report.html` beside the results it shows.

    Args:
        folder: Where `results.json` and `answers.jsonl` are.
        metrics_file: The training run's `metrics.jsonl`, for its curves.

    Raises:
        UserError: If there are no results of this version's schema.
        MissingExtraError: If matplotlib is not installed.
    """
    results = load_results(folder)
    sections = [
        _header(results),
        scores_section(results, OWN),
        slices_section(results),
        confusion_section(results, OWN),
        examples_section(results, load_answers(folder), OWN),
        _layers_section(results),
        curves_section(metrics_file),
        method_section(results),
    ]
    page = html_document(f"{results.model.get('name', 'model')} on {results.corpus['name']}", sections)
    path = folder / REPORT
    write_text(path, page)
    return path


def _header(results: Results) -> str:
    corpus, settings = results.corpus, results.settings
    wording = "instructions held out from training" if settings["wording"] == "held_out" else "seen instructions"
    facts = {
        "corpus": f"{corpus['name']}, split {corpus['split']}",
        "asked in": wording,
        "answers": f"{sum(timing.num_answers for timing in results.timings):,}",
        "made": results.created[:16].replace("T", " ") + " UTC",
    }
    return page_header("speechverse evaluation", results.model.get("name", "model"), summary(results), facts)


def summary(results: Results) -> str:
    """One honest sentence: on how many tasks the model is ahead of the better cascade, and on how many beyond doubt."""
    ahead, clear, compared = 0, 0, 0
    for report in results.tasks:
        own = results.score(report.name, OWN)
        rivals = [score for name in CASCADES if (score := results.score(report.name, name))]
        if own is None or not rivals:
            continue
        sign = 1 if get_metric(report.metrics[0]).higher_is_better else -1
        rival = max(rivals, key=lambda score: sign * score.value)
        compared += 1
        ahead += sign * own.value > sign * rival.value
        clear += own.low > rival.high if sign > 0 else own.high < rival.low
    if not compared:
        names = ", ".join(report.name for report in results.tasks)
        return f"{_count(len(results.tasks), 'task')} evaluated: {names}."
    return (
        f"The model's score is better than that of the better cascade on {ahead} of {_count(compared, 'task')}; "
        f"on {clear} of them the 95 % intervals do not touch."
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _layers_section(results: Results) -> str:
    weights = {use: results.model.get(name) for name, use in LAYER_WEIGHTS.items()}
    learned = {use: found for use, found in weights.items() if found and len(found) > 1}
    if not learned:
        return ""
    mixing = escape(str(results.model.get("layer_mixing", "")))
    note = f"Learned weights of the layers ({mixing}), from the lowest to the highest."
    return section("Which encoder layers it listens to", f'<div class="card">{layer_plot(learned)}</div>', note)


def method_section(results: Results) -> str:
    """How the results were come by: systems, what was left out, settings and fingerprints, time."""
    timings = [text_row((t.task, t.system, t.num_answers, f"{t.seconds:.1f}")) for t in results.timings]
    notes = bullets([*results.left_out, *results.notes] or ["nothing left out"])
    systems = "".join(f"<dt>{escape(name)}</dt><dd>{escape(title)}</dd>" for name, title in results.systems.items())
    times = f'<p class="note">{_shared_work(results)}</p>{table(("task", "system", "answers", "seconds"), timings)}'
    return section(
        "How this was measured",
        details("Systems", f"<dl>{systems}</dl>", is_open=True)
        + details("Left out", f"<ul>{notes}</ul>", is_open=True)
        + details("Settings and fingerprints", _provenance(results))
        + details("Time", times),
    )


def _shared_work(results: Results) -> str:
    transcripts = "Transcripts are made once, by the first task that needs them."
    if results.hearing_seconds is None:
        return transcripts
    return f"All clips were heard once beforehand, in {results.hearing_seconds:.1f} s. {transcripts}"


def _provenance(results: Results) -> str:
    facts = {
        "speechverse": results.version,
        **{f"model {name}": value for name, value in results.model.items() if name not in LAYER_WEIGHTS},
        "manifest": results.corpus.get("manifest_sha256"),
        "normaliser": results.normalizer,
        **{f"{name} signature": text for name, text in results.signatures.items()},
        **{name: value for name, value in results.settings.items() if name != "decoding"},
        **results.settings.get("decoding", {}),
    }
    return fact_list((name, value) for name, value in facts.items() if value is not None)
