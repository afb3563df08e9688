"""How the quickstart's answers look in a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from speechverse.cli.quickstart.robot import COMMANDS

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

    from speechverse.cli.quickstart.questions import Asked
    from speechverse.evaluation import Results, Score


def answers_table(asked: Asked) -> Table:
    """A clip's questions down, what is right and what the systems say across."""
    from rich.table import Table
    from rich.text import Text

    known = any(asked.right)
    table = Table(title=Text(heading(asked)), title_justify="left", title_style="bold", expand=False)
    for name in ("asked", *(["right"] if known else []), *asked.answers):
        table.add_column(name, overflow="fold", style="dim" if name == "right" else "")
    for row, (title, right) in enumerate(zip(asked.titles, asked.right, strict=True)):
        answers = [_answer(made[row], right) for made in asked.answers.values()]
        table.add_row(title, *([right or "–"] if known else []), *answers)
    return table


def heading(asked: Asked) -> str:
    """Which clip it is, and who speaks."""
    return f"{asked.path}" + ("" if asked.speaker == "you" else f" (voice {asked.speaker}, never heard in training)")


def _answer(answer: str, right: str | None) -> Text:
    from rich.text import Text

    return Text(answer or "(nothing)", style="green" if right is not None and answer == right else "")


def lesson_lines(before: Results, after: Results) -> list[str]:
    """What the lesson gave, a line for each that was asked."""
    scores = lesson_scores(before, after)
    number = after.tasks[0].num_examples
    gained = 100 * (scores["after the lesson"].value - scores["before"].value)
    return [
        f"right, of {number} clips (95 % intervals; guessing: {100 / len(COMMANDS):.0f} %)",
        *(f"  {name:<18} {_percent(score)}" for name, score in scores.items()),
        f"  {gained:+.0f} points",
    ]


def lesson_scores(before: Results, after: Results) -> dict[str, Score]:
    """When the model was tried → the share that was right."""
    own, task = "speechverse", after.tasks[0].name
    found = {"before": before.score(task, own), "after the lesson": after.score(task, own)}
    return {name: score for name, score in found.items() if score is not None}


def _percent(score: Score) -> str:
    return f"{100 * score.value:3.0f} %  ({100 * score.low:.0f}–{100 * score.high:.0f})"
