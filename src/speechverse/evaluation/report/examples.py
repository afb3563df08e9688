"""The worst answers, task by task, with what the other systems said to the same clip."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from speechverse.evaluation.report.document import details, section
from speechverse.evaluation.results import AnswerRecord, Results
from speechverse.metrics import get_metric

NUM_WORST = 5


def examples_section(results: Results, answers: Sequence[AnswerRecord], own: str) -> str:
    """The model's worst examples of each task."""
    by_example: dict[tuple[str, str], list[AnswerRecord]] = {}
    for record in answers:
        by_example.setdefault((record.task, record.example), []).append(record)
    blocks = []
    for report in results.tasks:
        metric = get_metric(report.metrics[0])
        made = [record for record in answers if (record.task, record.system) == (report.name, own)]
        wrong = [record for record in made if abs(record.score - metric.perfect) > 1e-9]
        wrong.sort(key=lambda record: (record.score if metric.higher_is_better else -record.score, record.example))
        if not made:
            continue
        listed = "".join(_example(by_example[record.task, record.example], own) for record in wrong[:NUM_WORST])
        summary = f"{escape(report.title)}: {len(wrong)} of {len(made)} not perfect"
        blocks.append(details(summary, listed or "<p class=soft>none</p>"))
    return section("Worst answers", "".join(blocks)) if blocks else ""


def _example(records: Sequence[AnswerRecord], own: str) -> str:
    first = records[0]
    lines = [f"<dt>right answer</dt><dd>{_quoted(first.reference)}</dd>"]
    for record in records:
        mark = ' class="own"' if record.system == own else ""
        unread = " <span class='soft'>(could not be read)</span>" if record.unparsed else ""
        lines.append(f"<dt>{escape(record.system)}</dt><dd{mark}>{_quoted(record.answer)}{unread}</dd>")
        if record.transcript not in (None, record.answer):
            lines.append(f'<dt></dt><dd class="soft">heard: {_quoted(record.transcript)}</dd>')
    return (
        f'<div class="example"><p class="soft">{escape(first.example)}</p><p>{escape(first.instruction)}</p>'
        f"<dl>{''.join(lines)}</dl></div>"
    )


def _quoted(text: str | None) -> str:
    return escape(text) if text else '<span class="soft">(nothing)</span>'
