"""Systems that know no words: they answer closed tasks by the sound alone, or without listening."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from speechverse import audio
from speechverse.data.cache import entry_key
from speechverse.errors import AudioError
from speechverse.evaluation.cascades import WhisperCascade
from speechverse.evaluation.folds import speaker_folds
from speechverse.evaluation.linear import fit_linear
from speechverse.evaluation.log_mels import mean_log_mels
from speechverse.evaluation.parts import ONE_CLIP, OPEN_SET, Parts, asks_about_several
from speechverse.evaluation.specialist import FrameSource, fit_specialist
from speechverse.metrics.normalize import normalizer_for
from speechverse.progress import Advance, ignore
from speechverse.seeding import fingerprint, hash_seed
from speechverse.tasks import OneOf, get_task
from speechverse.tasks.kws import KeywordSearch
from speechverse.tasks.prompts import placeholders
from speechverse.tasks.spoken import is_said, words_of
from speechverse.types import Answer, Example, Utterance

logger = logging.getLogger(__name__)

_FITTED_ON = 500  # training examples a task


class WithoutWords:
    """A system that knows no words, for closed sets only; `without_training` is what it does where
    the corpus has no training split, if anything.
    """

    name: ClassVar[str]
    without_training: ClassVar[str]
    listens: ClassVar[bool] = True

    def missing(self, examples: Sequence[Example]) -> str | None:
        task = get_task(examples[0].task)
        if not isinstance(task.constraint_for(examples[0].choices), OneOf):
            return OPEN_SET
        if len({example.choices for example in examples}) > 1:
            return "each clip has a list of its own, and it reads none"
        if self.listens and asks_about_several(examples):
            return ONE_CLIP
        return None


@dataclass
class Majority(WithoutWords):
    """The commonest right answer (of the training split where there is one), unheard."""

    parts: Parts
    name: ClassVar[str] = "majority"
    title: ClassVar[str] = (
        "always the commonest right answer (of the training split where there is one), without"
        " listening"
    )
    hears: ClassVar[bool] = False
    listens: ClassVar[bool] = False
    without_training: ClassVar[str] = "its answer is taken from the test split itself"

    def answer(self, examples: Sequence[Example], progress: Advance = ignore) -> list[Answer]:
        commonest = _commonest(self.parts.training_examples(examples[0].task) or examples)
        progress(len(examples))
        return [Answer(text=commonest) for _ in examples]


@dataclass
class LogMel(WithoutWords):
    """What a linear classifier tells from mean log-mels: no encoder, no words, no order."""

    parts: Parts
    name: ClassVar[str] = "log-mel"
    title: ClassVar[str] = (
        "a linear classifier on each clip's mean log-mels (fitted on the training split where there"
        " is one)"
    )
    hears: ClassVar[bool] = False  # it needs nothing of the encoder's
    without_training: ClassVar[str] = (
        "it is fitted on some of the test split's speakers and tested on the others, until all are"
        " tested"
    )

    def answer(self, examples: Sequence[Example], progress: Advance = ignore) -> list[Answer]:
        training = _sample(self.parts.training_examples(examples[0].task))
        training = _drop_unreadable(
            training, lambda example: self._mean_log_mels(example.utterance)
        )
        told = [""] * len(examples)
        for fitted, rows in [(training, range(len(examples)))] if training else _folds(examples):
            tested = [examples[row] for row in rows]
            for row, name in zip(rows, self._predict(fitted, tested), strict=True):
                told[row] = name
            progress(len(tested))
        return [Answer(text=name) for name in told]

    def _predict(self, fitted: Sequence[Example], tested: Sequence[Example]) -> list[str]:
        names = [example.target for example in fitted]
        if len(set(names)) < 2:
            # Nothing to fit on; what only the tested clips tell must not be told.
            return [names[0] if names else min(tested[0].choices or [""])] * len(tested)
        return list(map(str, fit_linear(self._cues(fitted), names).predict(self._cues(tested))))

    def _cues(self, examples: Sequence[Example]) -> np.ndarray:
        return np.stack([self._mean_log_mels(example.utterance) for example in examples])

    def _mean_log_mels(self, utterance: Utterance) -> np.ndarray:
        known = self.parts.mean_log_mels
        if utterance.audio not in known:  # ids need not differ between splits
            known[utterance.audio] = mean_log_mels(audio.load(utterance.audio).samples)
        return known[utterance.audio]


@dataclass
class Fitted(WithoutWords):
    """One that is fitted on the training split, to one question that stands for all its clips."""

    parts: Parts
    without_training: ClassVar[str] = ""
    _trainings: dict[str, str] = field(default_factory=dict, init=False)

    def fitted_on(self, task: str) -> str:
        """Names the examples that it is fitted on for a task, which its answers depend on."""
        if task not in self._trainings:
            told = map(_describe, self.parts.training_examples(task))
            self._trainings[task] = fingerprint(*told)
        return self._trainings[task]

    def missing(self, examples: Sequence[Example]) -> str | None:
        task = get_task(examples[0].task)
        if lack := WithoutWords.missing(self, examples):
            return lack
        if any(set(placeholders(wording)) - {"labels"} for wording in task.prompts.seen):
            return "its question differs from clip to clip, and it reads none"
        if len({example.target for example in self.parts.training_examples(task.name)}) < 2:
            return "no training split shows it two different answers"
        return None


@dataclass
class SpecialistSystem(Fitted):
    """The paper's specialist: for each task a small network on the frozen encoder's outputs; for
    keyword search, substring search in Whisper's text.
    """

    name: ClassVar[str] = "specialist"
    title: ClassVar[str] = (
        "a small network for each closed task on the frozen encoder's outputs, fitted on its"
        " training split; for keyword search, substring search in Whisper's text"
    )
    hears: ClassVar[bool] = True

    def missing(self, examples: Sequence[Example]) -> str | None:
        if isinstance(get_task(examples[0].task), KeywordSearch):
            return WhisperCascade(self.parts).lacking(examples)
        return Fitted.missing(self, examples)

    def answer(self, examples: Sequence[Example], progress: Advance = ignore) -> list[Answer]:
        search = get_task(examples[0].task)
        if isinstance(search, KeywordSearch):
            return self._searched(search, examples, progress)
        task, parts = examples[0].task, self.parts
        training = parts.training_examples(task)
        if parts.encode is not None:
            parts.cache = parts.encode(training)
        frames = FrameSource(self._encode, parts.model.encoder.frame_rate)
        usable = _drop_unreadable(training, frames)
        specialist = fit_specialist(usable, frames, parts.model.device, watch=parts.watch)
        parts.notes.append(f"{task} by {self.name}: {specialist.cost}")
        told = []
        for name in specialist.predict(examples, frames):
            told.append(Answer(text=name))
            progress(1)
        return told

    def _searched(
        self, search: KeywordSearch, examples: Sequence[Example], progress: Advance
    ) -> list[Answer]:
        """Whether each keyword stands in the text, as it is or as error rates compare words."""
        whisper = WhisperCascade(self.parts)
        clips = [example.utterance for example in examples]
        texts = self.parts.transcribe(whisper.kind, clips, whisper.transcribe)
        told = []
        for example in examples:
            clip, keyword = example.utterance, example.fields["keyword"]
            text = texts[clip.id]
            found = replace(clip, text=keyword if _has(text, keyword, clip.language) else "")
            answer = search.answer(found, example.fields, example.group)
            told.append(Answer(answer, transcript=text))
        progress(len(told))
        return told

    def _encode(self, utterance: Utterance) -> Tensor:
        """(L, T, D), kept or heard now."""
        model, cache = self.parts.model, self.parts.cache
        self.parts.processor.check_length(utterance.num_samples)
        if cache is not None:
            return cache[utterance]
        inputs = model.encoder.prepare([audio.load(utterance.audio).samples])
        with torch.no_grad():
            heard = model.encode({name: x.to(model.device) for name, x in inputs.items()})
        return heard.hidden_states[:, 0].cpu()


def _has(text: str, keyword: str, language: str | None) -> bool:
    """Whether a keyword is said in a text; recognisers write `7` for seven."""
    rule = normalizer_for(keyword, language)
    sought = rule(keyword)
    return is_said(keyword, words_of(text)) or (
        bool(sought) and is_said(sought, rule(text).split())
    )


def _describe(example: Example) -> str:
    """All of an example that can be fitted on; a clip that is not there is not."""
    try:
        sound = entry_key(example.utterance)
    except AudioError:
        sound = ""
    return repr((example.target, example.utterance.text, example.utterance.speaker, sound))


def _drop_unreadable(
    examples: Sequence[Example], load: Callable[[Example], object]
) -> list[Example]:
    """Training examples whose clips can be heard; those tested on have been tried before."""
    readable = []
    for example in examples:
        try:
            load(example)
        except AudioError as error:
            logger.warning("clip %s is not fitted on: %s", example.utterance.id, error)
            continue
        readable.append(example)
    return readable


def _commonest(examples: Sequence[Example]) -> str:
    counts = Counter(example.target for example in examples)
    return min(counts, key=lambda target: (-counts[target], target))


def _sample(examples: Sequence[Example]) -> Sequence[Example]:
    """As many as are fitted on, chosen by hash: a manifest may come sorted by class."""
    if len(examples) <= _FITTED_ON:
        return examples
    return sorted(examples, key=lambda example: hash_seed(0, "fitted", example.id))[:_FITTED_ON]


def _folds(examples: Sequence[Example]) -> list[tuple[list[Example], list[int]]]:
    """What is fitted on and the rows tested, fold by fold."""
    folds = speaker_folds([example.utterance for example in examples], seed=0)
    return [([examples[row] for row in fitted], tested) for fitted, tested in folds]
