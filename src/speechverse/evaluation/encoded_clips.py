"""The clips of an evaluation: encoded once for all tasks and systems, and which of them cannot be
asked about.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from speechverse import audio
from speechverse.data import FeatureCache
from speechverse.errors import AudioError, AudioTooLongError
from speechverse.evaluation.results import TaskReport
from speechverse.metrics import get_metric
from speechverse.progress import Watch
from speechverse.protocols import Model, Processor, Text
from speechverse.tally import describe_bad_clips, max_bad_clips
from speechverse.tasks import OneOf, Task, get_task
from speechverse.types import Example, Utterance

logger = logging.getLogger(__name__)

MAX_BAD_SHARE_OF_TASK = 0.05
"""Of a task's clips, before its score says too little."""
UNREADABLE = "unreadable"


def encode_clips(
    model: Model, processor: Processor, examples: Iterable[Example], folder: Path, watch: Watch
) -> FeatureCache:
    """Encoder outputs of every clip that can be encoded as far as is known beforehand, in the
    encoder's own precision; those that cannot be read are told when they are asked for.
    """
    found = {clip.id: clip for example in examples for clip in example.utterance.clips}
    limit = processor.max_audio_seconds
    clips = [c for c in found.values() if c.duration <= limit and c.audio.path.exists()]
    encoder, dtype = model.encoder, model.encoder.model.dtype
    size = f"{FeatureCache.size(encoder, clips, dtype) / 2**20:,.0f} MiB"
    progress = watch(f"encoder outputs, {size}", len(clips))
    return FeatureCache.build(
        encoder, clips, folder, dtype=dtype, max_bad_share=1.0, progress=progress
    )


class ExampleCheck:
    """Says why an example cannot be asked; each clip is tried once, before any system hears it.

    Attributes:
        unreadable: Ids of clips that cannot be read, with the reason.
    """

    def __init__(self, processor: Processor) -> None:
        self.processor = processor
        self.unreadable: dict[str, str] = {}
        self._clips: dict[str, str | None] = {}

    def __call__(self, example: Example) -> str | None:
        """The kind of reason, as it is counted; None where the example can be asked."""
        utterance = example.utterance
        if utterance.id not in self._clips:
            reasons = map(self._clip, utterance.clips)
            self._clips[utterance.id] = next(filter(None, reasons), None)
        return self._clips[utterance.id] or self._prompt(example)

    def _clip(self, utterance: Utterance) -> str | None:
        try:
            self.processor.check_length(utterance.num_samples)
        except AudioError as error:
            return error.kind
        try:
            audio.load(utterance.audio)
        except AudioError as error:
            logger.warning("clip %s is left out: %s", utterance.id, error)
            self.unreadable[utterance.id] = str(error)
            return UNREADABLE
        return None

    def _prompt(self, example: Example) -> str | None:
        """Whether prompt and answer fit."""
        num_samples = example.utterance.of_clips(lambda clip: clip.num_samples)
        closed = isinstance(get_task(example.task).constraint_for(example.choices), OneOf)
        choices = example.choices or () if closed else ()
        try:
            self.processor.check_question(example.prompt, choices, num_samples=num_samples)
        except AudioTooLongError as error:
            return error.kind
        return None


def why_too_bad(num_examples: int, skipped: Counter[str], bad: Mapping[str, str]) -> str | None:
    """Why a task is not measured of whose examples too many cannot be used; None if enough can.

    Args:
        skipped: Examples that cannot be asked, by reason.
        bad: Of these, the clips that cannot be read.
    """
    if len(bad) > max_bad_clips(MAX_BAD_SHARE_OF_TASK, num_examples):
        told = describe_bad_clips(bad, num_examples)
        return f"{told}; more than {MAX_BAD_SHARE_OF_TASK:.0%} are refused"
    if skipped.total() < num_examples:
        return None
    counts = ", ".join(f"{count} {reason}" for reason, count in skipped.items())
    return f"none of {num_examples} examples can be asked: {counts}"


def unspelt_note(text: Text, task: str, examples: Sequence[Example]) -> str | None:
    """That true answers hold what the LLM has no pieces for, so that no answer can equal them."""
    unspelt = {example.id: signs for example in examples if (signs := text.unspelt(example.target))}
    if not unspelt:
        return None
    first = next(iter(unspelt))
    return (
        f"{task}: {len(unspelt)} of {len(examples)} true answers hold what the LLM's tokenizer"
        f" cannot spell, such as '{unspelt[first]}' in {first}"
    )


def language_note(task: Task, examples: Sequence[Example]) -> str | None:
    """Says that a language was taken for granted, where a score goes by it."""
    unknown = sum(task.language_of(example) is None for example in examples)
    if not unknown or not any(get_metric(name).by_language for name in task.metrics):
        return None
    return (
        f"{task.name}: {unknown} of {len(examples)} examples name no language; what is in Latin"
        " letters was compared by the rules for English (give the corpus's lines a `language` if"
        " it is another)"
    )


def not_asked_notes(reports: Sequence[TaskReport], num_clips: int) -> list[str]:
    """Clips that lack what a task asks for, tasks that lack it of as many together."""
    tasks: dict[tuple[str, int], list[str]] = {}
    for report in reports:
        for reason, count in report.not_asked.items():
            tasks.setdefault((reason, count), []).append(report.name)
    return [
        f"{', '.join(names)}: not asked of {count:,} of {num_clips:,} clips: {reason}"
        for (reason, count), names in tasks.items()
    ]
