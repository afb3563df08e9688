"""Closed sets answered by scoring: whether probabilities are meant, and when not to answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

from speechverse.decoding import DecodingOptions
from speechverse.errors import UserError
from speechverse.evaluation.results import (
    WHOLE,
    Calibration,
    Results,
    Score,
    load_answers,
    load_results,
)
from speechverse.metrics import bootstrap
from speechverse.metrics.calibration import NUM_BINS, Believed, bin_of
from speechverse.tasks import Task
from speechverse.types import Answer, Example, shares_of

WANTED_ACCURACY = 0.9
"""Share of right answers among those given that a threshold is chosen for."""

Thresholds = Mapping[str, float | None]
"""`task/system` → the probability from which on it answers; None where none is high enough."""


class Judged(NamedTuple):
    """A probability, and whether the answer that had it is right."""

    probability: float
    is_right: bool


def choose_threshold(judged: Sequence[Judged], wanted: float = WANTED_ACCURACY) -> float | None:
    """The lowest probability from which on at least so many answers are right; None if there is
    none.
    """
    found, right, count = None, 0, 0
    ordered = sorted(judged, reverse=True)
    for probability, alike in groupby(ordered, key=lambda one: one.probability):
        some = list(alike)
        right, count = right + sum(one.is_right for one in some), count + len(some)
        if right >= wanted * count:
            found = probability
    return found


def thresholds_of(
    folder: Path,
    decoding: DecodingOptions,
    choices_per_prompt: int | None = None,
    measured: Mapping[str, Any] | None = None,
    model: str | None = None,
) -> Thresholds:
    """Thresholds chosen on the answers of an evaluation on validation clips.

    Args:
        decoding: How the answers are made that will be held back: probabilities of another scoring
            are other ones.
        choices_per_prompt: How many labels they will be chosen from: among few, each has more.
        measured: The clips that answers will be held back on, as `describe_split` tells them.
        model: The fingerprint of the model that will answer.

    Raises:
        UserError: If there are no results, no answer of them was chosen by scoring, the answers to
            be held back are not chosen by the same, or are another model's, or to the same clips.
    """
    results = load_results(folder)
    _check_others(folder, results, measured or {}, model)
    settings = results.settings
    there, listed = settings["decoding"], settings.get("choices_per_prompt")
    judged: dict[str, list[Judged]] = {}
    for record in load_answers(folder):
        if record.choice_scores:
            probability = shares_of(record.choice_scores)[record.answer]
            right = record.answer == record.reference
            judged.setdefault(key_of(record.task, record.system), []).append(
                Judged(probability, right)
            )
    if not judged:
        raise UserError(
            f"the answers in {folder} have no scores; evaluate on validation clips with --choices"
            " score"
        )
    if decoding.choice_mode != "score" or decoding.choice_scoring != there["choice_scoring"]:
        raise UserError(
            f"the thresholds in {folder} are of answers chosen by their scores"
            f" ('{there['choice_scoring']}') and hold for such alone; give --choices score"
            f" --scoring {there['choice_scoring']}"
        )
    if choices_per_prompt != listed:
        raise UserError(
            f"the thresholds in {folder} hold for answers chosen from {listed or 'all'} labels, not"
            f" {choices_per_prompt or 'all'}: evaluate both with the same --choices-per-prompt"
        )
    return {key: choose_threshold(some) for key, some in judged.items()}


def _check_others(
    folder: Path, results: Results, measured: Mapping[str, Any], model: str | None
) -> None:
    """A threshold is chosen on other clips than it is measured on, and of the same model."""
    if (clips := measured.get("manifest_sha256")) and clips == results.corpus["manifest_sha256"]:
        raise UserError(
            f"the thresholds in {folder} were chosen on these same clips, where they look better"
            " than they are: evaluate on validation clips for them (--split dev)"
        )
    other = results.model.get("fingerprint")
    if model and other and other != model:
        raise UserError(
            f"the thresholds in {folder} are of another model: evaluate this one on validation"
            " clips for them"
        )


def key_of(task: str, system: str) -> str:
    """The name under which a system's threshold for a task is kept."""
    return f"{task}/{system}"


@dataclass(frozen=True)
class Scored:
    """Answers to one closed task by one system, each with its choices' scores.

    Attributes:
        num_samples: Bootstrap resamples under an interval.
        seed: Of the bootstrap.
    """

    task: Task
    system: str
    examples: Sequence[Example]
    answers: Sequence[Answer]
    num_samples: int
    seed: int

    @property
    def are_there(self) -> bool:
        """Whether the answers were chosen by scoring."""
        return bool(self.answers) and all(made.choice_scores for made in self.answers)

    @property
    def believed(self) -> list[Believed]:
        return [Believed(made.text, made.choice_probs[made.text]) for made in self.answers]

    def calibration(self) -> Calibration:
        """The table of reliability, and what share of clips is answered how well."""
        judged = [
            Judged(one.probability, one.label == example.reference)
            for one, example in zip(self.believed, self.examples, strict=True)
        ]
        bins = []
        for place in range(NUM_BINS):
            some = [one for one in judged if bin_of(one.probability) == place]
            count = len(some)
            probability = sum(one.probability for one in some) / count if count else 0.0
            accuracy = sum(one.is_right for one in some) / count if count else 0.0
            bins.append((count, probability, accuracy))
        return Calibration(
            self.task.name, self.system, tuple(bins), _curve(judged), choose_threshold(judged)
        )

    def scores(self, thresholds: Thresholds) -> list[Score]:
        """ECE; with a threshold, coverage and accuracy of what is answered, too."""
        found = [self._score("ece", self.believed)]
        threshold = self.threshold(thresholds)
        if threshold is not None:
            given = [one.label if one.probability >= threshold else None for one in self.believed]
            found += [self._score(name, given) for name in ("coverage", "answered_accuracy")]
        return found

    def threshold(self, thresholds: Thresholds) -> float | None:
        """The one for this task and system; None if validation gave none."""
        return thresholds.get(key_of(self.task.name, self.system))

    def _score(self, metric: str, predictions: Sequence[Any]) -> Score:
        references = [example.reference for example in self.examples]
        clips = [example.utterance.id for example in self.examples]
        interval = bootstrap(
            metric, predictions, references, self.num_samples, self.seed, clips=clips
        )
        return Score(
            self.task.name, self.system, WHOLE, metric, *interval, num_examples=len(references)
        )


def _curve(judged: Sequence[Judged]) -> tuple[tuple[float, float, float], ...]:
    """(threshold, coverage, accuracy) at each tenth of the clips, the surest first."""
    ordered = sorted(judged, key=lambda one: -one.probability)
    points = []
    for tenth in range(1, 11):
        kept = ordered[: max(1, round(len(ordered) * tenth / 10))]
        accuracy = sum(one.is_right for one in kept) / len(kept)
        points.append((kept[-1].probability, len(kept) / len(ordered), accuracy))
    return tuple(points)
