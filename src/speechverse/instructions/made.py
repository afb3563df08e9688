"""The LLM's answers to drawn instructions, kept as they come, and the lines with what is left of
them as labels.
"""

from __future__ import annotations

import copy
import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from speechverse.batching import in_batches
from speechverse.decoding import DecodingOptions, Question, answer_questions
from speechverse.errors import AudioTooLongError, CheckpointError
from speechverse.evaluation.journal import Journal
from speechverse.instructions.assignment import Asked
from speechverse.instructions.usable import usable
from speechverse.models import SpeechVerseProcessor
from speechverse.progress import Advance
from speechverse.protocols import Processor
from speechverse.seeding import fingerprint

if TYPE_CHECKING:
    from speechverse.pipeline import SpeechVerse

LABEL = "instructions"
_AT_ONCE = 32
"""Answers that are lost when a process is killed."""

_STRETCH = 8 * _AT_ONCE

_TOO_LONG = "too long for the LLM"


@dataclass(frozen=True)
class Made:
    """A line's instruction with its answer."""

    asked: Asked
    answer: str


@dataclass
class Outcome:
    """What came of the instructions.

    Attributes:
        made: Instructions with answers, by text, in the order drawn.
        dropped: Instructions without an answer of use, by reason.
        num_read: Instructions that were the LLM's to answer, kept answers included.
        seconds: Wall time of those it gave now.
    """

    made: dict[str, list[Made]] = field(default_factory=dict)
    dropped: Counter[str] = field(default_factory=Counter)
    num_read: int = 0
    seconds: float = 0.0


def answer_lines(
    loaded: SpeechVerse,
    drawn: Sequence[Asked],
    journal: Journal,
    max_new_tokens: int,
    progress: Advance,
) -> Outcome:
    """Has the LLM of a loaded model, without LoRA, answer what no program knows; greedy, as a
    cascade would.

    Args:
        loaded: A `SpeechVerse`.
        drawn: Instructions.
        journal: Where the LLM's answers are kept, and found again.
        max_new_tokens: The longest answer.
        progress: Told of answers made or found.

    Raises:
        CheckpointError: If LoRA is merged into the model's LLM.
    """
    if loaded.model.config.merged:
        raise CheckpointError(
            "LoRA is merged into this model's LLM; give a model whose LLM is as it was found"
        )
    reader = _Reader(loaded, max_new_tokens)
    keys = {asked: reader.key(asked) for asked in drawn if asked.answer is None}
    pending = [asked for asked, key in keys.items() if journal.get(key) is None]
    progress(len(keys) - len(pending))
    began, outcome = time.perf_counter(), Outcome(num_read=len(keys))
    for system, some in _alike(pending, reader.system_for):
        before = time.perf_counter()
        processor, questions = reader.questions(some, system)
        progress(len(some) - len(questions))
        if not questions:
            continue
        with loaded.model.without_lora():
            answers = answer_questions(
                loaded.model, processor, list(questions.values()), reader.options, progress
            )
        journal.add([keys[asked] for asked in questions], answers, time.perf_counter() - before)
    outcome.seconds = time.perf_counter() - began
    for asked in drawn:
        answer, reason = (asked.answer, "") if asked.answer else _read(journal, keys[asked], asked)
        if answer:
            outcome.made.setdefault(asked.text, []).append(Made(asked, answer))
        else:
            outcome.dropped[reason] += 1
    return outcome


def _read(journal: Journal, key: str, asked: Asked) -> tuple[str, str]:
    """What is learnt of the LLM's answer, or why nothing."""
    kept = journal.kept.get(key)
    return usable(asked, kept.answer) if kept else ("", _TOO_LONG)


def _alike(
    drawn: Sequence[Asked], system_for: Callable[[Asked], str | None]
) -> Iterator[tuple[str | None, Sequence[Asked]]]:
    """Batches behind one system turn and of like length, for they waste less, taken from a stretch
    at a time.
    """
    for some in in_batches(drawn, _STRETCH):
        stretch = sorted(some, key=lambda asked: len(asked.text))
        for system in dict.fromkeys(map(system_for, stretch)):
            alike = [asked for asked in stretch if system_for(asked) == system]
            yield from ((system, batch) for batch in in_batches(alike, _AT_ONCE))


@dataclass(frozen=True)
class _Reader:
    loaded: SpeechVerse
    max_new_tokens: int

    @property
    def options(self) -> DecodingOptions:
        return DecodingOptions(max_new_tokens=self.max_new_tokens, max_batch=_AT_ONCE)

    def system_for(self, asked: Asked) -> str | None:
        """The system turn to read behind; none where the LLM has no chat template that could write
        one.
        """
        return asked.system if self.loaded.processor.tokenizer.chat_template else None

    def key(self, asked: Asked) -> str:
        """Names an answer by all that it depends on."""
        config, system = self.loaded.model.config, self.system_for(asked)
        told = (config.llm_fingerprint, config.prompt_template, self.max_new_tokens, asked.text)
        asked_in = (config.system_prompt, asked.instruction) if system is None else (system, "")
        return fingerprint(json.dumps([*told, *asked_in]))[:32]

    def questions(
        self, some: Sequence[Asked], system: str | None
    ) -> tuple[Processor, dict[Asked, Question]]:
        """The text where the audio would be; behind a system turn of its own there
        is nothing else. Those that the LLM has no room for are left out.
        """
        processor = self.loaded.processor
        if system is not None:
            config = copy.deepcopy(processor.config)
            config.system_prompt, config.prompt_template = system, "{audio}{instruction}"
            processor = SpeechVerseProcessor(config, processor.tokenizer, processor.front_end)

        questions = {}
        for asked in some:
            instruction = "" if system else asked.instruction
            lengths = processor.lengths(instruction, transcript=asked.text)
            with suppress(AudioTooLongError):
                processor.check_room(lengths)
                questions[asked] = Question(instruction, sum(lengths), transcript=asked.text)
        return processor, questions


def labelled(lines: Iterable[Mapping[str, Any]], outcome: Outcome) -> list[dict[str, Any]]:
    """The lines that have an instruction with an answer, these as their label."""

    def pairs(made: Sequence[Made]) -> list[dict[str, str]]:
        return [
            {"instruction": one.asked.instruction, "answer": one.answer, "kind": one.asked.kind}
            for one in made
        ]

    return [
        {**line, LABEL: pairs(made)} for line in lines if (made := outcome.made.get(line["text"]))
    ]
