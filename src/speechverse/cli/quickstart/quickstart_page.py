"""What the quickstart shows: answers and the lesson's gain in the terminal, and all on one page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from speechverse.cli.quickstart.clip_questions import Asked
from speechverse.cli.quickstart.robot import COMMANDS
from speechverse.evaluation.results import OWN, AnswerRecord, Results, Score
from speechverse.types import AudioRef

if TYPE_CHECKING:
    from rich.table import Table

AFTER = "after the lesson"
GUESSING = 100 / len(COMMANDS)


def answers_table(asked: Asked) -> Table:
    """A clip's questions down, what is right and what the systems say across."""
    from rich.table import Table
    from rich.text import Text

    known = any(question.right for question in asked.questions)
    table = Table(title=Text(asked.heading), title_justify="left", title_style="bold", expand=False)
    for name in ("asked", *(["right"] if known else []), *asked.answers):
        table.add_column(name, overflow="fold", style="dim" if name == "right" else "")
    for title, right, answers in asked.rows:
        styles = ["green" if right and answer == right else "" for answer in answers]
        cells = [Text(a or "(nothing)", style) for a, style in zip(answers, styles, strict=True)]
        table.add_row(title, *([right or "–"] if known else []), *cells)
    return table


def lesson_scores(before: Results, after: Results) -> dict[str, Score]:
    """When the model was tried → the share that was right."""
    task, tried = after.tasks[0].name, {"before": before, AFTER: after}
    found = {name: results.score(task, OWN) for name, results in tried.items()}
    return {name: score for name, score in found.items() if score is not None}


def lesson_lines(before: Results, after: Results) -> list[str]:
    """What the lesson gave, a line for each that was asked."""
    scores, num = lesson_scores(before, after), after.tasks[0].num_examples
    gain = 100 * (scores[AFTER].value - scores["before"].value)
    return [
        f"right, of {num} clips (95 % intervals; guessing: {GUESSING:.0f} %)",
        *(
            f"  {name:<18} {100 * s.value:3.0f} %  ({100 * s.low:.0f}–{100 * s.high:.0f})"
            for name, s in scores.items()
        ),
        f"  {gain:+.0f} points",
    ]


def quickstart_page(
    *,
    model: str,
    answers: Sequence[Asked],
    look: tuple[Results, Sequence[AnswerRecord]],
    lesson: tuple[Results, Results],
    commands: Iterable[tuple[str, str]],
    spent: str,
) -> str:
    """The whole page: the look's results and answers, the lesson's results before and after, and
    what to copy next (what it does, and the lines).
    """
    from speechverse.evaluation.report.plots import Bar, score_plot
    from speechverse.evaluation.report.render import playable, render_page
    from speechverse.evaluation.report.views import confusion_cards, results_view, worst_answers

    results, records = look
    bars = [
        Bar(name, *(100 * v for v in (s.value, s.low, s.high)))
        for name, s in lesson_scores(*lesson).items()
    ]
    label = ", ".join(f"{bar.system} {bar.value:.0f} %" for bar in bars)
    return render_page(
        "quickstart.html",
        __package__,
        model=model,
        spent=spent,
        clips=[(asked, playable([AudioRef(Path(asked.path))])) for asked in answers],
        num_tried=lesson[1].tasks[0].num_examples,
        lesson=score_plot(label, bars, GUESSING, AFTER, 100.0),
        confusions=confusion_cards(lesson[1], OWN),
        num_looked=max(report.num_examples for report in results.tasks),
        view=results_view(results, OWN),
        own=OWN,
        worst=worst_answers(results, records, OWN),
        commands=commands,
    )
