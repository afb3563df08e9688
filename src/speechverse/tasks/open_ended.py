"""The open-ended suite: requests that nobody trained a model on (paper, table 6), judged by a
program or shown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from typing import Any

from speechverse.metrics import UNPARSED
from speechverse.seeding import rng_for
from speechverse.tasks.open_checks import JUDGED, SHORTEST, Said, takes_up
from speechverse.tasks.parsing import Prediction
from speechverse.tasks.prompts import PromptSet, fill
from speechverse.tasks.task import Ask, Task
from speechverse.types import Example, Utterance
from speechverse.yaml_files import parse_yaml

A_CLIP = {"checked": 4, "shown": 1}
"""Requests that are made of one clip, drawn by a hash of its id; all of them would take as many
times as long.
"""


@cache
def requests(section: str) -> Mapping[str, Sequence[str]]:
    """Kind → wordings, of `checked` or `shown` in open_requests.yaml."""
    text = (files("speechverse.tasks") / "open_requests.yaml").read_text(encoding="utf-8")
    return parse_yaml(text)[section]


@dataclass(frozen=True)
class Expected:
    """What an answer is held against: the clip's text, and the kind of request."""

    said: Said
    kind: str

    def is_met_by(self, answer: Any) -> bool:
        """Whether an answer, as the task reads it, is right."""
        is_right = JUDGED[self.kind].is_right if self.kind in JUDGED else takes_up
        return answer is not UNPARSED and is_right(answer, self.said)


@dataclass(frozen=True, kw_only=True)
class OpenRequests(Task):
    """Open requests of one section; a variant is a kind of request.

    Attributes:
        section: Of open_requests.yaml.
    """

    section: str

    def missing(self, utterance: Utterance) -> str | None:
        """As for any task; a clip must also have words enough to ask about."""
        lack = Task.missing(self, utterance)
        few = len(Said(utterance.text or "").words) < SHORTEST
        return lack or (f"it has fewer than {SHORTEST} words" if few else None)

    def variants(self, utterance: Utterance) -> tuple[str, ...]:
        """The clip's few kinds, of those that can be asked of it."""
        said = Said(utterance.text or "")
        possible = [kind for kind in requests(self.section) if self._right(kind, said) is not None]
        rng = rng_for(0, self.name, utterance.id)
        drawn = rng.sample(possible, min(A_CLIP[self.section], len(possible)))
        return tuple(kind for kind in possible if kind in drawn)

    def fields(self, utterance: Utterance, ask: Ask, variant: str) -> Mapping[str, str]:
        """The request, in one of its wordings."""
        judged, wording = JUDGED.get(variant), ask.rng.choice(requests(self.section)[variant])
        word = judged.word(Said(utterance.text or "")) if judged else ""
        return {"request": fill(wording, {"word": word})}

    def answer(self, utterance: Utterance, fields: Mapping[str, str], variant: str) -> str:
        return self._right(variant, Said(utterance.text or "")) or ""

    def _right(self, kind: str, said: Said) -> str | None:
        """A right answer; of what is only shown, the text itself stands for it."""
        return JUDGED[kind].answer(said) if kind in JUDGED else said.text

    def finished(self, example: Example, ask: Ask) -> Example:
        """The reference is `Expected`, for more than one answer may be right."""
        said = Said(example.utterance.text or "")
        return replace(example, reference=Expected(said, example.group))

    def parse(self, text: str, choices: Sequence[str] | None = None) -> Prediction:
        """The text with its line breaks, which may be asked for."""
        return text.strip() or UNPARSED


def _suite(name: str, title: str, section: str, metric: str) -> OpenRequests:
    return OpenRequests(
        name=name,
        title=title,
        group="open",
        prompts=PromptSet(seen=("{request}",), held_out=("Listen to this first. {request}",)),
        requires=("text",),
        metrics=(metric,),
        section=section,
    )


OPEN = _suite("open", "Open requests, judged", "checked", "requests_met")
OPEN_SHOWN = _suite("open-shown", "Open requests, shown", "shown", "taken_up")
