"""Answers that no program judges, for people to compare: every system's to the same request."""

from __future__ import annotations

from collections.abc import Sequence

from speechverse.evaluation.report.render import playable
from speechverse.evaluation.report.views import View
from speechverse.evaluation.results import AnswerRecord

SHOWN = "open-shown"
"""The task whose answers are shown and not ranked."""

A_KIND = 2
"""Examples of a kind of request."""


def side_by_side(answers: Sequence[AnswerRecord]) -> list[View]:
    """The first examples of each kind of request, with the answers of all systems and the clip."""
    kinds: dict[str, dict[str, list[AnswerRecord]]] = {}
    for record in answers:
        if record.task == SHOWN:
            kind = next(part for part in record.slices if part.startswith("group: "))
            examples = kinds.setdefault(kind.removeprefix("group: "), {})
            examples.setdefault(record.example, []).append(record)
    return [
        {
            "title": kind,
            "num": len(examples),
            "examples": [
                (records, playable(records[0].clips))
                for records in list(examples.values())[:A_KIND]
            ],
        }
        for kind, examples in kinds.items()
    ]


def ranked(answers: Sequence[AnswerRecord]) -> list[AnswerRecord]:
    """The answers that can be called better or worse."""
    return [record for record in answers if record.task != SHOWN]
