"""The terminal tables: a model's scores beside two rivals, in eighty columns."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from rich.box import SIMPLE
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from speechverse.evaluation.comparison import Comparison
from speechverse.evaluation.results import OWN, WHOLE, Results, Score, in_words
from speechverse.metrics import get_metric

_NUM_RIVALS = 2


def results_table(results: Results) -> Table:
    """Headline scores with 95 % intervals beside two rivals; the best of a row is bold, groups of a
    task are indented.

    The rivals are the better cascade and the oracle, as far as they were measured, and else what
    was.
    """
    own = OWN if OWN in results.systems else next(iter(results.systems))
    rivals = _rivals(results, own)
    where = f"{results.corpus['name']}, {results.corpus['split']}"
    table = Table(title=escape(f"{results.model.get('name', 'model')} on {where}"), box=SIMPLE)
    table.caption, table.caption_justify = _caption(results, own, rivals), "left"
    table.add_column("task", no_wrap=True)
    table.add_column("metric", overflow="fold")
    for head in ("n", own, "95 %", *rivals):
        table.add_column(escape(head), justify="right", no_wrap=True)
    for report in results.tasks:
        groups = [part for part in results.parts_of(report.name) if part.startswith("group")]
        for part in (WHOLE, *groups):
            label = get_metric(report.metrics[0]).label if part == WHOLE else ""
            name = report.name if part == WHOLE else f"  {part.removeprefix('group: ')}"
            columns = ((own,), *rivals.values())
            scores = [results.best_of(report.name, names, part) for names in columns]
            of_part = (s for s in results.scores if (s.task, s.slice) == (report.name, part))
            num = max((score.num_examples for score in of_part), default=report.num_examples)
            pairs = results.paired if part == WHOLE else ()
            clear = {p.other for p in pairs if p.task == report.name and p.is_clear}
            table.add_row(escape(name), label, str(num), *_cells(scores, clear))
    return table


def _rivals(results: Results, own: str) -> dict[str, tuple[str, ...]]:
    """Heads of columns → the systems whose best score stands in it."""
    others = [name for name in results.systems if name != own]
    cascades = tuple(name for name in results.cascades if name in others)
    rivals = {"cascade" if len(cascades) > 1 else cascades[0]: cascades} if cascades else {}
    rivals |= {"oracle": ("oracle",)} if "oracle" in others else {}
    for name in others:
        if len(rivals) < _NUM_RIVALS and not any(name in names for names in rivals.values()):
            rivals[name] = (name,)
    return rivals


def _caption(results: Results, own: str, rivals: dict[str, tuple[str, ...]]) -> str | None:
    shown = {own, *(name for names in rivals.values() for name in names)}
    told = [
        f"cascade: the better of {in_words(names)}." for names in rivals.values() if len(names) > 1
    ]
    if any(pair.is_clear and pair.other in shown for pair in results.paired):
        told.append("* differs from the first: the pairs' 95 % interval leaves 0 out, and p ≤ .05.")
    if rest := [name for name in results.systems if name not in shown]:
        told.append(f"On the page too: {in_words(rest)}.")
    return escape(" ".join(filter(None, [*told, results.guessing]))) or None


def _cells(scores: list[Score | None], clear: Collection[str] = ()) -> list[Text]:
    """The own score, its interval, and the rivals' scores; starred are those that `clear` names."""
    known = [score for score in scores if score]
    if not known:
        return [Text("–", style="dim")] * (len(scores) + 1)
    metric = get_metric(known[0].metric)
    best = (max if metric.higher_is_better else min)(score.value for score in known)
    cells = [Text("–", "dim") for _ in scores]
    for place, score in enumerate(scores):
        if score:
            bold = "bold" if score.value == best else ""
            star = "*" if score.system in clear else ""
            cells[place] = Text(f"{metric.shown(score.value):.1f}{star}", bold)
    own = scores[0]
    interval = f"{metric.shown(own.low):.0f}–{metric.shown(own.high):.0f}" if own else ""
    return [cells[0], Text(interval, "dim"), *cells[1:]]


def cost_table(results: Results) -> Table:
    """What each system's answers took: seconds, with its transcripts, and tokens."""
    told = ""
    if results.hearing_seconds:
        names, seconds = in_words(results.hearing) or "all", results.hearing_seconds
        told = escape(f"without encoding the clips, done once for {names}: {seconds:.0f} s")
    table = Table(title="cost of an answer", title_justify="left", box=SIMPLE, caption=told or None)
    table.add_column("system", no_wrap=True)
    for head in ("answers", "seconds", "tokens"):
        table.add_column(head, justify="right")
    for system in results.systems:
        timings = [timing for timing in results.timings if timing.system == system]
        num = sum(timing.num_answers for timing in timings)
        if num:
            seconds = sum(timing.seconds for timing in timings) / num
            tokens = sum(timing.num_tokens for timing in timings) / num
            table.add_row(escape(system), f"{num:,}", f"{seconds:.2f}", f"{tokens:.1f}")
    return table


def not_measured_table(results: Results) -> Table | None:
    """The tasks that could not be measured, and why; None if all could."""
    if not results.not_measured:
        return None
    table = Table(title="not measured", title_justify="left", box=SIMPLE)
    table.add_column("task", no_wrap=True)
    table.add_column("why", overflow="fold")
    for left in results.not_measured:
        table.add_row(escape(left.name), escape(left.reason))
    return table


def comparison_table(rows: Sequence[tuple[str, str, Comparison]], first: str, second: str) -> Table:
    """Tasks and metrics of two systems, paired: both values, and the second less the first."""
    title = escape(f"{second} (2) less {first} (1)")
    table = Table(title=title, title_justify="left", box=SIMPLE)
    table.caption = "p: how often swapping the answers by lot gives as large a difference"
    for head in ("task", "metric"):
        table.add_column(head, no_wrap=True)
    for head in ("1", "2", "2 − 1", "95 %", "p", "n"):
        table.add_column(head, justify="right", no_wrap=True)
    for task, name, pair in rows:
        metric = get_metric(name)
        one, other, gap, low, high = (
            metric.shown(value)
            for value in (pair.first.value, pair.second.value, *pair.difference[:3])
        )
        numbers = (f"{one:.1f}", f"{other:.1f}", f"{gap:+.1f}", f"{low:+.1f} to {high:+.1f}")
        table.add_row(
            escape(task),
            metric.label,
            *numbers,
            f"{pair.difference.p_value:.3f}",
            str(pair.num_examples),
        )
    return table
