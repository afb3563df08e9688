"""Scores on the page: a card with a plot for each task, tables of all numbers, and who is taken for whom."""

from __future__ import annotations

from html import escape

from speechverse.evaluation.report.document import details, framed, section, table, text_row
from speechverse.evaluation.report.plots import Bar, score_plot
from speechverse.evaluation.results import WHOLE, Confusion, Results, Score, TaskReport
from speechverse.metrics import FAULTS_OF_FORM, get_metric

MAX_MATRIX = 12
MAX_PAIRS = 15


def scores_section(results: Results, own: str, title: str = "Scores", note: str = "") -> str:
    """A card for each task, and the same numbers as a table; the note, in plain text, goes before how to read them."""
    cards = "".join(_card(results, report, own) for report in results.tasks)
    guessing = f'<p class="note">{escape(results.guessing)}</p>' if results.guessing else ""
    return section(
        title,
        f'<div class="cards">{cards}</div>{guessing}{_not_measured(results)}{details("All numbers", _table(results))}',
        f"{escape(note)} Dots are scores, bars their 95 % bootstrap intervals over examples; n is the number of "
        "examples. "
        "The dashed line answers with the commonest class, without listening.",
    )


def _not_measured(results: Results) -> str:
    """A row for each task that could not be measured."""
    if not results.not_measured:
        return ""
    rows = [text_row((f"{left.title} ({left.name})", left.reason)) for left in results.not_measured]
    return framed("Not measured", table(("task", "why"), rows))


def _card(results: Results, report: TaskReport, own: str) -> str:
    metric = get_metric(report.metrics[0])
    bars, majority = [], None
    for system in results.systems:
        score = results.score(report.name, system)
        if score is None:
            continue
        shown = [metric.shown(value) for value in (score.value, score.low, score.high)]
        if system == "majority":
            majority = shown[0]
        else:
            bars.append(Bar(system, *shown))
    limit = 100.0 if metric.percent and metric.higher_is_better else None
    label = f"{report.title}: {metric.label} of {', '.join(f'{bar.system} {bar.value:.1f}' for bar in bars)}"
    plot = score_plot(escape(label, quote=True), bars, majority, own, limit) if bars else ""
    unit = " %" if metric.percent else ""
    arrow = "higher is better" if metric.higher_is_better else "lower is better"
    line = f"{metric.label}{unit}, {arrow} · n = {report.num_examples}"
    if majority is not None:
        line += f" · majority {majority:.1f}"
    return framed(report.title, plot, escape(line))


def _table(results: Results) -> str:
    systems = list(results.systems)
    rows = [
        _row(f"{report.name} {get_metric(name).label}", [results.score(report.name, s, name) for s in systems], name)
        for report in results.tasks
        for name in (*report.metrics, *FAULTS_OF_FORM)
    ]
    return table(["task and metric", *systems], rows)


def _row(name: str, scores: list[Score | None], metric_name: str) -> str:
    metric = get_metric(metric_name)
    sign = 1 if metric.higher_is_better else -1
    known = [sign * score.value for score in scores if score]
    best = max(known, default=None)
    cells = []
    for score in scores:
        if score is None:
            cells.append('<td class="soft">–</td>')
            continue
        value, low, high = (metric.shown(number) for number in (score.value, score.low, score.high))
        mark = ' class="best"' if sign * score.value == best and metric_name not in FAULTS_OF_FORM else ""
        cells.append(f"<td{mark}>{value:.1f}<small>{low:.1f} to {high:.1f}</small></td>")
    return f"<tr><td>{escape(name)}</td>{''.join(cells)}</tr>" if known else ""


def slices_section(results: Results) -> str:
    """The headline metric on parts of a task: target languages, kinds of sentences."""
    blocks = []
    for report in results.tasks:
        parts = list(dict.fromkeys(s.slice for s in results.scores if s.task == report.name and s.slice != WHOLE))
        if not parts:
            continue
        metric, systems = report.metrics[0], list(results.systems)
        rows = []
        for part in parts:
            scores = [results.score(report.name, system, metric, part) for system in systems]
            num = next(score.num_examples for score in scores if score)
            rows.append(_row(f"{part} (n = {num})", scores, metric))
        summary = f"{escape(report.title)}: {escape(get_metric(metric).label)}"
        blocks.append(details(summary, table(["part", *systems], rows)))
    return section("Parts reported apart", "".join(blocks)) if blocks else ""


def confusion_section(results: Results, own: str) -> str:
    """The model's confusions: a matrix for small sets of labels, the commonest mistakes for large ones."""
    titles = {report.name: report.title for report in results.tasks}
    cards = "".join(
        framed(titles[confusion.task], (_matrix if len(confusion.labels) <= MAX_MATRIX else _pairs)(confusion))
        for confusion in results.confusions
        if confusion.system == own
    )
    if not cards:
        return ""
    note = "Rows are the truth, columns the answers, in clips; shades are shares of the row."
    return section("What it takes for what", f'<div class="cards wide">{cards}</div>', note)


def _matrix(confusion: Confusion) -> str:
    columns = [*confusion.labels, "unreadable"]
    used = [i for i, name in enumerate(columns) if i < len(confusion.labels) or any(row[i] for row in confusion.counts)]
    rows = []
    for label, counts in zip(confusion.labels, confusion.counts, strict=True):
        total = max(1, sum(counts))
        cells = "".join(
            f'<td style="background:rgba(var(--tint),{0.75 * counts[index] / total:.2f})">{counts[index]}</td>'
            for index in used
        )
        rows.append(f"<tr><td>{escape(label)}</td>{cells}</tr>")
    return table(["", *(columns[index] for index in used)], rows, "confusion")


def _pairs(confusion: Confusion) -> str:
    columns = [*confusion.labels, "unreadable"]
    mistakes = [
        (count, truth, columns[index])
        for truth, counts in zip(confusion.labels, confusion.counts, strict=True)
        for index, count in enumerate(counts)
        if count and columns[index] != truth
    ]
    mistakes.sort(key=lambda mistake: -mistake[0])
    if not mistakes:
        return '<p class="soft">no mistakes</p>'
    rows = [text_row((truth, made, count)) for count, truth, made in mistakes[:MAX_PAIRS]]
    left = f"<p class='soft'>and {len(mistakes) - MAX_PAIRS} rarer pairs</p>" if len(mistakes) > MAX_PAIRS else ""
    return table(("truth", "answered", "clips"), rows) + left
