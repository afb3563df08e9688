"""What is asked of an encoder's layers: labels, speakers, words and digits of a corpus, and who may fit on what."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from speechverse.evaluation.probes.linear import Outputs
from speechverse.metrics import Metric, get_metric
from speechverse.metrics.classes import mean_recall
from speechverse.seeding import hash_seed
from speechverse.stop_words import STOP_WORDS
from speechverse.types import Utterance

LABELS = ("emotion", "accent", "num_speakers", "is_speech")
"""Labels probed, fitted on one part's voices and tested on another's."""

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
NUM_WORDS = 60
_FEWEST_SAID = 5
"""Test clips that must have a word for it to be asked for."""
_FEWEST_CLIPS = 4
"""Clips of a speaker who is to be recognised: two to fit, two to test."""


@dataclass(frozen=True)
class Question:
    """One thing to ask of a clip's vector. Rows count the clips of all parts together.

    Attributes:
        name: Of the probe.
        outputs: The possible answers.
        folds: Rows to fit on and rows to test on, one pair or several in turn.
        answers: Row → the true answer.
        groups: Row → what is kept on one side while the penalty is chosen.
    """

    name: str
    outputs: Outputs
    folds: tuple[tuple[tuple[int, ...], tuple[int, ...]], ...]
    answers: Mapping[int, Hashable]
    groups: Mapping[int, str]

    @property
    def metric(self) -> Metric:
        """UAR, or over words the mean balanced accuracy."""
        if not self.outputs.several:
            return get_metric("uar")
        return Metric("word_accuracy", "balanced accuracy", self._sides_of_words, mean_recall)

    @property
    def chance(self) -> float:
        """What always giving one answer would reach."""
        return 0.5 if self.outputs.several else 1 / len({self.answers[row] for _, test in self.folds for row in test})

    def _sides_of_words(self, predictions: Sequence[Hashable], references: Sequence[Hashable]) -> np.ndarray:
        """(N, 4C): of each word said, then not said, whether it was right; then how often either was."""
        said, true = (self.outputs.encode(answers).numpy() > 0 for answers in (predictions, references))
        sides = np.concatenate([true, ~true], axis=1)
        return np.concatenate([sides & np.tile(said == true, 2), sides], axis=1).astype(np.float64)


Clips = Mapping[int, Utterance]
"""Row → clip, of one part."""


def ask_everything(fit: Clips, test: Clips, digits: Clips) -> tuple[list[Question], dict[str, str]]:
    """Every question that the clips have the labels for.

    Args:
        fit: Clips of the voices that are fitted on.
        test: Clips of other voices and sentences.
        digits: Clips of people saying one digit each, named in `text`.

    Returns:
        The questions, and why the others cannot be asked: name → reason.
    """
    asked = [_label(name, fit, test) for name in LABELS]
    asked += [_speaker(test), _words(fit, test), *([_digits(digits)] if digits else [])]
    reasons = {question.name: _hindrance(question) for question in asked}
    good = [question for question in asked if not reasons[question.name]]
    return good, {name: reason for name, reason in reasons.items() if reason}


def _hindrance(question: Question) -> str:
    if question.outputs.several:
        return "" if question.outputs.names else f"no content word is said in {_FEWEST_SAID} test clips"
    sides = [rows for fold in question.folds for rows in fold]
    if not sides or any(len({question.answers[row] for row in rows}) < 2 for rows in sides):
        return f"fewer than two kinds of '{question.name}' among the clips to fit or to test"
    return ""


def _label(name: str, fit: Clips, test: Clips) -> Question:
    answers = {
        row: str(clip.labels[name])
        for clips in (fit, test)
        for row, clip in clips.items()
        if clip.labels.get(name) is not None
    }
    outputs = Outputs(tuple(sorted({answers[row] for row in fit if row in answers})))
    fold = (tuple(row for row in fit if row in answers), tuple(row for row in test if row in answers))
    return Question(name, outputs, (fold,), answers, _voices({**fit, **test}))


def _speaker(clips: Clips) -> Question:
    """Half of each speaker's clips recognise the other half; a sentence is on one side only."""
    by_speaker: dict[str, list[int]] = defaultdict(list)
    for row, clip in clips.items():
        if clip.speaker and clip.labels.get("num_speakers", 1) == 1:
            by_speaker[clip.speaker].append(row)
    side_of: dict[str, int] = {}
    sides: tuple[list[int], list[int]] = ([], [])
    for _, rows in sorted(by_speaker.items()):
        if len(rows) < _FEWEST_CLIPS:
            continue
        own: tuple[list[int], list[int]] = ([], [])
        for row in sorted(rows, key=lambda row: hash_seed(0, clips[row].id)):
            sentence = clips[row].text or clips[row].id
            own[side_of.setdefault(sentence, int(len(own[0]) > len(own[1])))].append(row)
        if all(own):
            sides[0].extend(own[0])
            sides[1].extend(own[1])
    answers = {row: clips[row].speaker or "" for side in sides for row in side}
    groups = {row: clips[row].text or clips[row].id for row in answers}
    folds = ((tuple(sides[0]), tuple(sides[1])),)
    return Question("speaker", Outputs(tuple(sorted(set(answers.values())))), folds, answers, groups)


def _words(fit: Clips, test: Clips) -> Question:
    said = {row: frozenset((clip.text or "").split()) for clips in (fit, test) for row, clip in clips.items()}
    counts, tested = (Counter(word for row in clips for word in said[row]) for clips in (fit, test))
    common = [
        word
        for word, _ in sorted(counts.items(), key=lambda entry: (-entry[1], entry[0]))
        if len(word) > 2 and word not in STOP_WORDS and tested[word] >= _FEWEST_SAID
    ][:NUM_WORDS]
    outputs = Outputs(tuple(common), several=True)
    answers = {row: words & set(common) for row, words in said.items() if words}
    fold = (tuple(row for row in fit if row in answers), tuple(row for row in test if row in answers))
    return Question("words", outputs, (fold,), answers, _voices({**fit, **test}))


def _digits(clips: Clips) -> Question:
    """Each speaker in turn is tested on what the others fitted."""
    speakers = sorted({clip.speaker or "" for clip in clips.values()})
    folds = tuple(
        (
            tuple(row for row, clip in clips.items() if clip.speaker != speaker),
            tuple(row for row, clip in clips.items() if clip.speaker == speaker),
        )
        for speaker in speakers
    )
    return Question("digits", Outputs(DIGITS), folds, {row: c.text or "" for row, c in clips.items()}, _voices(clips))


def _voices(clips: Clips) -> dict[int, str]:
    return {row: clip.speaker or clip.id for row, clip in clips.items()}
