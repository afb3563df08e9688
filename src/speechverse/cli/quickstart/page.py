"""What the quickstart shows: answers and the lesson's gain in the terminal, and all of it on one
page.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from speechverse.cli.quickstart.questions import Asked
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

    known = any(asked.right)
    table = Table(title=Text(asked.heading), title_justify="left", title_style="bold", expand=False)
    for name in ("asked", *(["right"] if known else []), *asked.answers):
        table.add_column(name, overflow="fold", style="dim" if name == "right" else "")
    for title, right, answers in asked.rows:
        told = [
            Text(answer or "(nothing)", "green" if right and answer == right else "")
            for answer in answers
        ]
        table.add_row(title, *([right or "–"] if known else []), *told)
    return table


def lesson_scores(before: Results, after: Results) -> dict[str, Score]:
    """When the model was tried → the share that was right."""
    found = {
        name: results.score(after.tasks[0].name, OWN)
        for name, results in (("before", before), (AFTER, after))
    }
    return {name: score for name, score in found.items() if score is not None}


def lesson_lines(before: Results, after: Results) -> list[str]:
    """What the lesson gave, a line for each that was asked."""
    scores = lesson_scores(before, after)
    return [
        (
            f"right, of {after.tasks[0].num_examples} clips (95 % intervals; guessing:"
            f" {GUESSING:.0f} %)"
        ),
        *(
            f"  {name:<18} {100 * s.value:3.0f} %  ({100 * s.low:.0f}–{100 * s.high:.0f})"
            for name, s in scores.items()
        ),
        f"  {100 * (scores[AFTER].value - scores['before'].value):+.0f} points",
    ]


def quickstart_page(
    *,
    model: str,
    answers: Sequence[Asked],
    look: tuple[Results, Sequence[AnswerRecord], Path],
    lesson: tuple[Results, Results],
    commands: Iterable[tuple[str, str]],
    spent: str,
) -> str:
    """The whole page.

    Args:
        model: The model's name.
        answers: What was asked of single clips.
        look: Results and answers of the look, and their folder.
        lesson: Results before and after the lesson.
        commands: What to copy next: what it does, and the lines.
        spent: How long everything took.
    """
    from speechverse.evaluation.report.plots import Bar, score_plot
    from speechverse.evaluation.report.render import playable, render_page
    from speechverse.evaluation.report.views import confusion_cards, results_view, worst_answers

    results, records, folder = look
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
        clips=[(asked, playable(AudioRef(Path(asked.path)))) for asked in answers],
        num_tried=lesson[1].tasks[0].num_examples,
        lesson=score_plot(label, bars, GUESSING, AFTER, 100.0),
        confusions=confusion_cards(lesson[1], OWN),
        num_looked=max(report.num_examples for report in results.tasks),
        view=results_view(results, OWN),
        own=OWN,
        worst=worst_answers(results, records, OWN),
        commands=commands,
    )
