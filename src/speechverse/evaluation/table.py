"""The terminal table: tasks down, systems across, intervals beside the scores."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from speechverse.evaluation.results import WHOLE, Results, Score
from speechverse.metrics import get_metric


def results_table(results: Results) -> Table:
    """Headline scores with 95 % intervals; the best system of a row is bold, groups of a task are indented."""
    title = f"{results.model.get('name', 'model')} on {results.corpus['name']}, {results.corpus['split']}"
    table = Table(title=title, caption=results.guessing or None, caption_justify="left")
    table.add_column("task", overflow="fold")
    table.add_column("metric", overflow="fold")
    table.add_column("n", justify="right")
    for system in results.systems:
        table.add_column(system, justify="right", overflow="fold")
    for report in results.tasks:
        for part in dict.fromkeys(score.slice for score in results.scores if score.task == report.name):
            if part != WHOLE and not part.startswith("group"):
                continue
            scores = [results.score(report.name, system, slice=part) for system in results.systems]
            num = max(score.num_examples for score in scores if score)
            name = report.name if part == WHOLE else f"  {part}"
            label = get_metric(report.metrics[0]).label
            table.add_row(name, label if part == WHOLE else "", str(num), *_cells(scores))
    return table


def not_measured_table(results: Results) -> Table | None:
    """The tasks that could not be measured, and why; None if all could."""
    if not results.not_measured:
        return None
    table = Table(title="not measured", title_justify="left")
    table.add_column("task", no_wrap=True)
    table.add_column("why", overflow="fold")
    for left in results.not_measured:
        table.add_row(left.name, Text(left.reason))
    return table


def _cells(scores: list[Score | None]) -> list[Text]:
    known = [score for score in scores if score]
    metric = get_metric(known[0].metric)
    best = (max if metric.higher_is_better else min)(score.value for score in known)
    return [_cell(score, best) for score in scores]


def _cell(score: Score | None, best: float) -> Text:
    if score is None:
        return Text("–", style="dim")
    value, low, high = (get_metric(score.metric).shown(number) for number in (score.value, score.low, score.high))
    return Text.assemble((f"{value:.1f}", "bold" if score.value == best else ""), (f" {low:.0f}–{high:.0f}", "dim"))
