"""The LLM's answers to drawn instructions, kept as they come, and the lines with what is left of them as labels."""

from __future__ import annotations

import copy
import hashlib
import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from speechverse.decoding import DecodingOptions, Question, answer_questions
from speechverse.errors import CheckpointError
from speechverse.evaluation.journal import Journal
from speechverse.instructions.drawing import Asked
from speechverse.instructions.usable import usable
from speechverse.models import SpeechVerseProcessor
from speechverse.types import Answer

LABEL = "instructions"
_AT_ONCE = 32
"""Answers that are lost when a process is killed."""

_STRETCH = 8 * _AT_ONCE


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
        dropped: Answers that are of no use, by reason.
        num_read: Answers that the LLM gave, kept ones included.
        seconds: Wall time of those it gave now.
    """

    made: dict[str, list[Made]] = field(default_factory=dict)
    dropped: Counter[str] = field(default_factory=Counter)
    num_read: int = 0
    seconds: float = 0.0


def answer_lines(
    loaded: Any, drawn: Sequence[Asked], journal: Journal, max_new_tokens: int, progress: Callable[[int], None]
) -> Outcome:
    """Has the LLM of a loaded model, without LoRA, answer what no program knows; greedy, as a cascade would.

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
        raise CheckpointError("LoRA is merged into this model's LLM; give a model whose LLM is as it was found")
    outcome = Outcome()
    options = DecodingOptions(max_new_tokens=max_new_tokens, max_batch=_AT_ONCE)
    common = (loaded.model.config.llm_fingerprint, loaded.model.config.prompt_template, max_new_tokens)
    keys = {asked: _key(loaded, common, asked) for asked in drawn if asked.answer is None}
    pending = [asked for asked, key in keys.items() if journal.get(key) is None]
    progress(len(keys) - len(pending))
    began = time.perf_counter()
    for some in _alike(pending):
        before = time.perf_counter()
        answers = _read(loaded, some, options, progress)
        journal.add([keys[asked] for asked in some], answers, time.perf_counter() - before)
    outcome.seconds, outcome.num_read = time.perf_counter() - began, len(keys)
    for asked in drawn:
        answer, reason = (asked.answer, "") if asked.answer else usable(asked, journal.kept[keys[asked]].answer)
        if answer:
            outcome.made.setdefault(asked.text, []).append(Made(asked, answer))
        else:
            outcome.dropped[reason] += 1
    return outcome


def _alike(drawn: Sequence[Asked]) -> Iterator[Sequence[Asked]]:
    """Batches of like length, for they waste less; taken from a stretch at a time, so that a part is like the whole."""
    for first in range(0, len(drawn), _STRETCH):
        some = sorted(drawn[first : first + _STRETCH], key=lambda asked: (asked.system or "", len(asked.text)))
        yield from (some[start : start + _AT_ONCE] for start in range(0, len(some), _AT_ONCE))


def _read(
    loaded: Any, drawn: Sequence[Asked], options: DecodingOptions, progress: Callable[[int], None]
) -> list[Answer]:
    made: dict[Asked, Answer] = {}
    with loaded.model.without_lora():
        for system in dict.fromkeys(_system_for(loaded, asked) for asked in drawn):
            some = [asked for asked in drawn if _system_for(loaded, asked) == system]
            processor = loaded.processor if system is None else _behind(loaded.processor, system)
            questions = [_question(processor, asked.text, "" if system else asked.instruction) for asked in some]
            answers = answer_questions(loaded.model, processor, questions, options, progress)
            made |= zip(some, answers, strict=True)
    return [made[asked] for asked in drawn]


def _behind(processor: SpeechVerseProcessor, system: str) -> SpeechVerseProcessor:
    """A processor that writes this system turn, and nothing but the text behind it."""
    config = copy.deepcopy(processor.config)
    config.system_prompt, config.prompt_template = system, "{audio}{instruction}"
    return SpeechVerseProcessor(config, processor.tokenizer, processor.front_end)


def _system_for(loaded: Any, asked: Asked) -> str | None:
    """The system turn to read behind; none where the LLM has no chat template that could write one."""
    return asked.system if loaded.processor.tokenizer.chat_template else None


def _question(processor: SpeechVerseProcessor, text: str, instruction: str) -> Question:
    return Question(instruction, processor.num_positions(instruction, transcript=text), transcript=text)


def _key(loaded: Any, common: tuple[Any, ...], asked: Asked) -> str:
    system = _system_for(loaded, asked)
    asked_in = (loaded.model.config.system_prompt, asked.instruction) if system is None else (system, "")
    told = json.dumps([*common, asked.text, *asked_in])
    return hashlib.sha256(told.encode()).hexdigest()[:32]


def labelled(lines: Iterable[Mapping[str, Any]], outcome: Outcome) -> list[dict[str, Any]]:
    """The lines that have an instruction with an answer, these as their label."""
    found = []
    for line in lines:
        if made := outcome.made.get(line["text"]):
            pairs = [
                {"instruction": one.asked.instruction, "answer": one.answer, "kind": one.asked.kind} for one in made
            ]
            found.append({**line, LABEL: pairs})
    return found
