"""Instruction following: an utterance is asked its own instructions, as the paper's spoken Alpaca
is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from speechverse.errors import TaskError
from speechverse.tasks.prompts import PromptSet
from speechverse.tasks.task import Ask, Task
from speechverse.types import AUDIO_SIGN, Utterance

LABEL = "instructions"


@dataclass(frozen=True, kw_only=True)
class InstructionFollowing(Task):
    """A task whose questions and answers are the utterance's own: `{"instruction": ..., "answer":
    ..., "kind": ...}`.

    A variant is an instruction's kind, so that kinds are scored apart; its number where it has none
    of its own.
    """

    def missing(self, utterance: Utterance) -> str | None:
        """As for any task; an empty list of instructions also lacks them."""
        lack = Task.missing(self, utterance)
        return lack or (None if utterance.labels[LABEL] else f"its label '{LABEL}' is empty")

    def variants(self, utterance: Utterance) -> tuple[str, ...]:
        """Names of the utterance's instructions."""
        return tuple(_by_name(utterance.labels[LABEL]))

    def fields(self, utterance: Utterance, ask: Ask, variant: str) -> Mapping[str, str]:
        return {"instruction": _by_name(utterance.labels[LABEL])[variant]["instruction"]}

    def answer(self, utterance: Utterance, fields: Mapping[str, str], variant: str) -> str:
        num_signs = fields["instruction"].count(AUDIO_SIGN)
        if utterance.beside and num_signs != len(utterance.clips):
            raise TaskError(
                f"'{utterance.id}' has {len(utterance.clips)} clips, but {num_signs} {AUDIO_SIGN}"
                f" signs in {fields['instruction']!r}; write one where each clip belongs"
            )
        return str(_by_name(utterance.labels[LABEL])[variant]["answer"])


def _by_name(instructions: Sequence[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    kinds = Counter(one.get("kind") for one in instructions)
    return {
        kind if (kind := one.get("kind")) and kinds[kind] == 1 else str(number): one
        for number, one in enumerate(instructions, start=1)
    }


FOLLOW = InstructionFollowing(
    name="follow",
    title="Instruction following",
    group="slu",
    prompts=PromptSet(
        seen=("{instruction}",),
        held_out=(
            "Listen first, then do this: {instruction}",
            "About what you hear: {instruction}",
        ),
    ),
    requires=(LABEL,),
    takes_several=True,
    metrics=("chrf", "accuracy"),
)
