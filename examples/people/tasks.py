"""What recordings of people are asked that no built-in task asks: which of ten digits, and whether
this phrase.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from speechverse.decoding import pattern_of_schema
from speechverse.tasks import UNPARSED, ConstraintSpec, LabelSet, OneOf, PromptSet, Task, get_task
from speechverse.tasks.task import Matches
from speechverse.types import Utterance

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
KWS = get_task("kws")


def _digit_task(name: str, title: str, prompts: PromptSet) -> Task:
    return Task(
        name=name,
        title=title,
        group="asr",
        prompts=prompts,
        requires=("text",),
        target=lambda utterance: utterance.text or "",
        parser=get_task("ic").parser,
        labels=LabelSet("digit", dict.fromkeys(DIGITS, "")),
        constraint=OneOf,
        metrics=("accuracy",),
    )


DIGIT = _digit_task("digit", "Digits, asked for a transcript", get_task("asr").prompts)
DIGIT_LISTED = _digit_task(
    "digit_listed",
    "Digits, asked with the list",
    PromptSet(
        seen=("Which of these words is said? {labels}", "Which digit do you hear? One of: {labels}")
    ),
)
WAKE_PHRASE = Task(
    name="wake_phrase",
    title="Wake phrases, each clip asked for its own and for a wrong one",
    group="slu",
    prompts=KWS.prompts,
    requires=("keyword", "said"),
    target=lambda utterance: utterance.labels["said"],
    parser=KWS.parser,
    labels=KWS.labels,
    constraint=OneOf,
    metrics=("balanced_accuracy",),
)


SCHEMA = Path(__file__).with_name("order.json")


@cache
def _schema() -> dict[str, Any]:
    return json.loads(SCHEMA.read_text(encoding="utf-8"))


def _written(utterance: Utterance) -> str:
    """The slots as an object, its keys in the schema's order."""
    slots = dict(utterance.labels["slots"])
    return json.dumps({name: slots[name] for name in _schema()["properties"] if name in slots})


def _read(text: str, choices: Sequence[str] | None = None) -> Any:
    """The pairs of an object of strings."""
    try:
        found = json.loads(text)
    except ValueError:
        return UNPARSED
    if not isinstance(found, dict) or not all(isinstance(one, str) for one in found.values()):
        return UNPARSED
    return tuple(found.items())


@dataclass(frozen=True, kw_only=True)
class JsonOrder(Task):
    """An order as JSON; of the menu's schema, or as the model writes it freely."""

    by_schema: bool

    def constraint_for(self, choices: Sequence[str] | None) -> ConstraintSpec | None:
        return Matches(pattern_of_schema(_schema())) if self.by_schema else None


def _order_task(name: str, title: str, by_schema: bool) -> JsonOrder:
    return JsonOrder(
        name=name,
        title=title,
        group="slu",
        prompts=PromptSet(
            seen=(
                f"Write the order as JSON with the keys {', '.join(_schema()['properties'])}.",
                "Turn this order into a JSON object.",
            )
        ),
        requires=("slots",),
        target=_written,
        parser=_read,
        metrics=("slu_f1", "sd_f1"),
        by_schema=by_schema,
    )


ORDER_JSON = _order_task("order_json", "Orders as JSON of a schema", by_schema=True)
ORDER_FREE = _order_task("order_free", "Orders as JSON, written freely", by_schema=False)
