"""The quickstart's page: one self-contained file with the answers, the look, the lesson and the next commands."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

from speechverse.cli.quickstart.questions import Asked
from speechverse.cli.quickstart.robot import COMMANDS
from speechverse.cli.quickstart.shown import heading, lesson_scores
from speechverse.evaluation import Results
from speechverse.evaluation.report.document import framed, html_document, page_header, section, table
from speechverse.evaluation.report.examples import examples_section
from speechverse.evaluation.report.page import method_section
from speechverse.evaluation.report.plots import Bar, score_plot
from speechverse.evaluation.report.scores import confusion_section, scores_section
from speechverse.evaluation.results import AnswerRecord
from speechverse.types import AudioRef
from speechverse.world.card.samples import audio_source

OWN = "speechverse"
LEAD = (
    "What the model answers about voices that it never heard, beside Whisper's text read by the same LLM, and what it "
    "learns in a minute. The made voices are a synthesiser's: of people, only your own recordings tell."
)


def quickstart_page(
    *,
    model: str,
    answers: Iterable[Asked],
    look: tuple[Results, Sequence[AnswerRecord]],
    lesson: tuple[Results, Results],
    commands: Iterable[tuple[str, str]],
    spent: str,
) -> str:
    """The whole page.

    Args:
        model: The model's name.
        answers: What was asked of single clips.
        look: Results and answers of the look.
        lesson: Results before and after the lesson.
        commands: What to copy next: what it does, and the lines.
        spent: How long everything took.
    """
    results, records = look
    sections = [
        page_header("speechverse quickstart", model, LEAD, {"time": spent}),
        section(
            "Questions",
            f'<div class="cards wide">{"".join(map(_card, answers))}</div>',
            "Answers that are known to be right are bold.",
        ),
        _lesson_section(*lesson),
        _look_section(results),
        examples_section(results, records, OWN),
        _next_section(commands),
        method_section(results),
    ]
    return html_document("speechverse quickstart", sections)


def _card(asked: Asked) -> str:
    rows = []
    for row, (title, right) in enumerate(zip(asked.titles, asked.right, strict=True)):
        cells = [escape(title), escape(right or "–"), *(_answer(made[row], right) for made in asked.answers.values())]
        rows.append(f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>")
    answers = table(("asked", "right", *asked.answers), rows, "answers")
    return framed(heading(asked), _player(Path(asked.path)) + answers)


def _player(path: Path) -> str:
    """The clip to hear, inside the page; nothing where it has been moved away."""
    if not path.is_file():
        return ""
    source = escape(audio_source(AudioRef(path), path, embed=True), quote=True)
    return f'<figure><audio controls preload="none" src="{source}"></audio></figure>'


def _answer(answer: str, right: str | None) -> str:
    text = escape(answer) or '<span class="soft">(nothing)</span>'
    return f"<b>{text}</b>" if right is not None and answer == right else text


def _lesson_section(before: Results, after: Results) -> str:
    scores = lesson_scores(before, after)
    bars = [Bar(name, *(100 * value for value in (s.value, s.low, s.high))) for name, s in scores.items()]
    label = ", ".join(f"{bar.system} {bar.value:.0f} %" for bar in bars)
    plot = score_plot(escape(label, quote=True), bars, 100 / len(COMMANDS), "after the lesson", 100.0)
    number = after.tasks[0].num_examples
    note = (
        f"Four commands for a robot, a task it never had: learned on the spot, and tried on {number} clips in other "
        "words and other voices. The dashed line is guessing; bars are 95 % intervals."
    )
    card = framed("Commands for a robot", plot, f"accuracy %, n = {number}")
    return section("Something new", f'<div class="cards">{card}</div>', escape(note)) + confusion_section(after, OWN)


def _look_section(results: Results) -> str:
    number = max(report.num_examples for report in results.tasks)
    note = f"A look and not a measurement: with n = {number} the intervals are wide, and most differences chance."
    return scores_section(results, OWN, "A look", note)


def _next_section(commands: Iterable[tuple[str, str]]) -> str:
    return section(
        "Next", "".join(f"<p>{escape(what)}</p><pre><code>{escape(lines)}</code></pre>" for what, lines in commands)
    )
