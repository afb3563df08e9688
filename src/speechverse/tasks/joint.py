"""Several tasks in one answer: `ASR: play some jazz | KWE: jazz |` (the paper's section 4.3.3,
tables 8 and 9).

What is written first helps what comes after it: an LLM that has written the transcript reads it for
the next task.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import product
from typing import Any

from speechverse.errors import TaskError
from speechverse.metrics import UNPARSED, get_metric
from speechverse.tasks.parsing import Prediction
from speechverse.tasks.prompts import PromptSet, fill
from speechverse.tasks.task import Ask, Task
from speechverse.types import Example, Utterance

SIGN = "+"
"""Between the names of tasks that are asked jointly: `asr+kwe`."""

_NO_BAR = re.compile(r"\s*\|\s*")


@dataclass(frozen=True, kw_only=True)
class Joint(Task):
    """Tasks that are answered one after the other, each under its heading; made by `joint`.

    A prediction is {task: prediction}; the last part's first metric is the headline.

    Attributes:
        parts: The tasks, in the order of their answers.
    """

    parts: tuple[Task, ...]

    @property
    def is_about_the_voice(self) -> bool:
        """Whether no transcript tells one of the answers."""
        return any(part.is_about_the_voice for part in self.parts)

    @property
    def label_fields(self) -> tuple[str, ...]:
        """Those of all parts."""
        return tuple(field for part in self.parts for field in part.label_fields)

    def missing(self, utterance: Utterance) -> str | None:
        """What the utterance lacks for the first of the parts that cannot be asked of it."""
        return next((lack for part in self.parts if (lack := part.missing(utterance))), None)

    def variants(self, utterance: Utterance) -> tuple[str, ...]:
        """The parts' own questions, each with each."""
        return tuple(self._combined(utterance))

    def _combined(self, utterance: Utterance) -> dict[str, tuple[str, ...]]:
        combined = product(*(part.variants(utterance) for part in self.parts))
        return {SIGN.join(filter(None, variants)): variants for variants in combined}

    def faults(self, utterance: Utterance, ask: Ask) -> dict[str, str]:
        """Questions in which one of the parts cannot be answered."""
        by_part = [part.faults(utterance, ask) for part in self.parts]
        found = {}
        for name, variants in self._combined(utterance).items():
            reasons = [
                faults[variant]
                for faults, variant in zip(by_part, variants, strict=True)
                if variant in faults
            ]
            if reasons:
                found[name] = reasons[0]
        return found

    def answer(self, utterance: Utterance, fields: Mapping[str, str], variant: str) -> str:
        """The answers of the parts to the same fields."""
        variants = self._combined(utterance)[variant]
        asked = zip(self.parts, variants, strict=True)
        return self.join_answers([part.answer(utterance, fields, one) for part, one in asked])

    def render(
        self,
        utterance: Utterance,
        ask: Ask,
        variant: str | None = None,
        template: str | None = None,
    ) -> Example:
        """Asks all parts at once, each in a wording of its own; `choices` has one entry a part."""
        if lack := self.missing(utterance):
            raise TaskError(
                f"task '{self.name}' cannot be asked of utterance '{utterance.id}': {lack}"
            )
        combined = self._combined(utterance)
        variant = ask.rng.choice(list(combined)) if variant is None else variant
        template = (
            ask.rng.choice(self.prompts.wordings(ask.wording)) if template is None else template
        )
        asked = [
            part.render(utterance, ask, one)
            for part, one in zip(self.parts, combined[variant], strict=True)
        ]
        return Example(
            id="/".join(filter(None, (utterance.id, self.name, variant))),
            utterance=utterance,
            task=self.name,
            instruction=self.combine(template, [example.instruction for example in asked]),
            target=self.join_answers([example.target for example in asked]),
            reference={example.task: example.reference for example in asked},
            choices=tuple(example.choices for example in asked),
            group=variant,
        )

    def combine(self, template: str, instructions: Sequence[str]) -> str:
        """The parts' instructions as one, each under its heading, with the form of the answer."""
        blocks = "".join(
            f"=== Task: {heading(part)} ===\n{instruction}\n"
            for part, instruction in zip(self.parts, instructions, strict=True)
        )
        form = " ".join(f"{heading(part)}: ... |" for part in self.parts)
        return fill(template, {"tasks": f"\n{blocks}", "format": form})

    def join_answers(self, answers: Sequence[str]) -> str:
        """The answers of the parts as one text; a bar within one would end it, so it becomes a
        comma.
        """
        return " ".join(
            f"{heading(part)}: {_NO_BAR.sub(', ', answer)} |"
            for part, answer in zip(self.parts, answers, strict=True)
        )

    def parse(self, text: str, choices: Sequence[Any] | None = None) -> Prediction:
        """One prediction a part; what stands under no heading of its own is `UNPARSED`, and so is
        all if nothing does.

        Args:
            choices: One entry a part; None takes the parts' own labels.
        """
        given = choices or [None] * len(self.parts)
        found: dict[str, Prediction] = {}
        for part, allowed in zip(self.parts, given, strict=True):
            answer = self._under(part, text)
            found[part.name] = UNPARSED if answer is None else part.parse(answer, allowed)
        return UNPARSED if all(one is UNPARSED for one in found.values()) else found

    def _under(self, part: Task, text: str) -> str | None:
        """What stands under a part's heading, up to a bar or a line that has another's."""
        headings = "|".join(re.escape(heading(one)) for one in self.parts)
        end = rf"(?=\||\n\s*(?:{headings})\s*:|\Z)"
        begin = rf"(?:^|\||\n)\s*{re.escape(heading(part))}\s*:"
        found = re.search(rf"{begin}(.*?){end}", text, re.IGNORECASE | re.DOTALL)
        return found[1].strip() if found else None

    def constraint_for(self, choices: Sequence[Any] | None) -> None:
        """None: each part is written freely."""
        return None


def heading(task: Task) -> str:
    """What stands before a part's answer."""
    return task.name.upper()


_prompts = lru_cache(PromptSet.load)


def joint(*names: str) -> Joint:
    """The joint task of tasks by name, answered in this order.

    Raises:
        TaskError: If a name stands for nothing, there are fewer than two, or one comes twice.
    """
    from speechverse.tasks.registry import get_task

    if len(names) < 2 or len(set(names)) < len(names):
        raise TaskError(
            f"'{SIGN.join(names)}' is no joint task: give two or more different ones, such as"
            f" asr{SIGN}kwe"
        )
    parts = tuple(get_task(name) for name in names)
    for part in parts:
        if any(get_metric(metric).part for metric in part.all_metrics):
            raise TaskError(
                f"'{part.name}' reads an answer in two ways: it is asked by itself only"
            )
    return Joint(
        name=SIGN.join(part.name for part in parts),
        title=", then ".join([parts[0].title, *(part.title.lower() for part in parts[1:])]),
        group="joint",
        prompts=_prompts("joint"),
        metrics=tuple(
            replace(
                metric,
                name=f"{part.name}_{metric.name}",
                label=f"{metric.label} ({part.name})",
                part=part.name,
            )
            for part in reversed(parts)
            for metric in map(get_metric, part.all_metrics)
        ),
        parts=parts,
        version=sum(part.version for part in parts),
        speech_only=any(part.speech_only for part in parts),
    )
