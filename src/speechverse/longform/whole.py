"""Answers about a sound that is longer than a model hears: asked of each part, then combined."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

from speechverse.audio import AudioSource, load_blocks
from speechverse.batching import in_batches
from speechverse.chat import Loaded
from speechverse.decoding import DecodingOptions, Question, answer_questions, default_limit
from speechverse.errors import AudioTooLongError
from speechverse.longform.cutting import tile
from speechverse.longform.listening import AT_ONCE
from speechverse.longform.transcript import Segment
from speechverse.progress import Advance, ignore
from speechverse.tasks import ConstraintSpec
from speechverse.types import Answer, Lengths

_COMBINE = (
    "These are answers about the consecutive parts of one recording. From them, answer about the"
    " whole of it: {}"
)


@dataclass(frozen=True, slots=True)
class WholeAnswer:
    """An answer about a whole recording.

    Attributes:
        answer: What the LLM made of the answers about its parts; of a single part, that answer.
        parts: From where to where each part is, and the answer about it.
    """

    answer: Answer
    parts: tuple[Segment, ...]


def answer_parts(
    sound: AudioSource,
    longest: float,
    ask: Callable[[list[Any]], list[Answer]],
    progress: Advance = ignore,
) -> tuple[Segment, ...]:
    """What is answered about each part of a sound; the parts make up all of it, silence too.

    Args:
        longest: Of a part, in seconds.
        ask: Answers about some parts, float32 (T,) each.
        progress: Is told how many more seconds were heard.

    Raises:
        AudioError: If the sound cannot be read.
    """
    answered = list[Segment]()
    for batch in in_batches(tile(load_blocks(sound), longest), AT_ONCE):
        for part, made in zip(batch, ask([part.samples for part in batch]), strict=True):
            answered.append(Segment(part.start, part.end, made.text, made.ended))
            progress(int(part.end) - int(part.start))
    return tuple(answered)


def combine(
    asked: Loaded,
    instruction: str,
    notes: Sequence[str],
    constraint: ConstraintSpec | None,
    options: DecodingOptions,
) -> Answer:
    """Has the LLM answer from the answers about parts; where they are too many for one reading,
    from answers about some of them.

    Raises:
        AudioTooLongError: If not even two of them fit into what the LLM reads.
    """
    model, processor, written = asked.model, asked.processor, _COMBINE.format(instruction)
    limit = options.max_new_tokens or default_limit(processor.max_audio_seconds)

    def fits(some: Sequence[str]) -> bool:
        try:
            prompt, _ = processor.lengths(written, transcript=_listed(some))
            processor.check_room(Lengths(prompt, limit))
        except AudioTooLongError:
            return False
        return True

    groups = _groups(notes, fits)
    if 1 < len(groups) == len(notes):
        raise AudioTooLongError(
            f"the answers about {len(notes)} parts are too long for the LLM to read two of them at"
            " once; let answers be shorter (max_new_tokens)"
        )
    questions = [
        Question(
            written,
            processor.num_positions(written, transcript=_listed(group)) + limit,
            transcript=_listed(group),
            constraint=constraint,
            name=str(number),
        )
        for number, group in enumerate(groups)
    ]
    # It reads as a cascade does: what was trained was trained to hear.
    with nullcontext() if model.config.merged else model.without_lora():
        made = answer_questions(model, processor, questions, options)
    if len(made) == 1:
        return made[0]
    return combine(asked, instruction, [one.text for one in made], constraint, options)


def _groups(notes: Sequence[str], fits: Callable[[Sequence[str]], bool]) -> list[list[str]]:
    groups: list[list[str]] = []
    for note in notes:
        if groups and fits([*groups[-1], note]):
            groups[-1].append(note)
        else:
            groups.append([note])
    return groups


def _listed(notes: Iterable[str]) -> str:
    return "\n".join(f"Part {number}: {note}" for number, note in enumerate(notes, start=1))
