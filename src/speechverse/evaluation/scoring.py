"""Answers to one task by one system, scored: numbers with intervals, confusions, and each answer as
it is kept.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from speechverse.evaluation import calibration
from speechverse.evaluation.differences import differences
from speechverse.evaluation.results import (
    WHOLE,
    AnswerRecord,
    Calibration,
    Confusion,
    Score,
    slices,
    slices_of,
)
from speechverse.metrics import UNPARSED, bootstrap, get_metric
from speechverse.tasks import OneOf, Task
from speechverse.types import CUT, Answer, Ended, Example

if TYPE_CHECKING:
    from speechverse.evaluation.runner import EvaluationSettings

MAX_CONFUSION_LABELS = 64

WHY_CUT: dict[Ended, str] = {
    "length": "at the most tokens they may have (--max-new-tokens)",
    "positions": "where the LLM's positions end",
    "loop": "as they turned in circles",
}


@dataclass
class Scored:
    """What has been scored so far."""

    scores: list[Score] = field(default_factory=list)
    confusions: list[Confusion] = field(default_factory=list)
    records: list[AnswerRecord] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    calibrations: list[Calibration] = field(default_factory=list)


def score_answers(
    scored: Scored,
    task: Task,
    system: str,
    examples: Sequence[Example],
    answers: Sequence[Answer],
    settings: EvaluationSettings,
) -> None:
    """Adds what one system's answers to one task are worth."""
    parsed = [
        task.parse(made.text, ex.choices) if made.error is None else UNPARSED
        for made, ex in zip(answers, examples, strict=True)
    ]
    if errors := Counter(made.error for made in answers if made.error is not None):
        told = f"{errors.total()} of {len(answers)} were not answered and count as unparsed"
        scored.notes.append(f"{task.name} by {system}: {told}: {errors.most_common(1)[0][0]}")
    how: dict[str, Any] = {"num_samples": settings.num_resamples, "seed": settings.seed}
    endings = [made.ended for made in answers]
    clips = [example.utterance.id for example in examples]
    cut_rate = bootstrap("cut_rate", endings, endings, **how, clips=clips)
    scored.scores += [
        *_scores(task, system, examples, parsed, how),
        *differences(task, system, examples, parsed, **how),
        Score(task.name, system, WHOLE, "cut_rate", *cut_rate, len(endings)),
    ]
    if cut := Counter(ended for ended in endings if ended in CUT):
        reasons = ", ".join(f"{count} {WHY_CUT[ended]}" for ended, count in cut.items())
        told = f"{cut.total()} of {len(endings)} answers are cut: {reasons}"
        scored.notes.append(f"{task.name} by {system}: {told}")
    probabilities = calibration.Scored(task, system, examples, answers, **how)
    if probabilities.are_there:
        scored.calibrations.append(probabilities.calibration())
        scored.scores += probabilities.scores(settings.thresholds)
        if settings.thresholds and probabilities.threshold(settings.thresholds) is None:
            scored.notes.append(
                f"{task.name} by {system}: validation gave no threshold, so every answer counts"
            )
    scored.confusions += _confusions(task, system, examples, parsed)
    scored.records += _records(task, system, examples, answers, parsed, settings)


def _scores(
    task: Task, system: str, examples: Sequence[Example], parsed: Sequence[Any], how: dict[str, Any]
) -> Iterator[Score]:
    """Every metric on the whole set, the headline on each part of it."""
    for part, rows in slices(examples).items():
        predictions = [parsed[row] for row in rows]
        references = [examples[row].reference for row in rows]
        languages = [task.language_of(examples[row]) for row in rows]
        clips = [examples[row].utterance.id for row in rows]
        for name in task.all_metrics if part == WHOLE else task.part_metrics:
            interval = bootstrap(
                name, predictions, references, **how, languages=languages, clips=clips
            )
            normalizer = get_metric(name).normalizers(references, languages)
            yield Score(task.name, system, part, name, *interval, len(rows), normalizer)


def _confusions(
    task: Task, system: str, examples: Sequence[Example], parsed: Sequence[Any]
) -> list[Confusion]:
    """One of a closed task, none of an open one or one of very many labels."""
    labels = tuple(dict.fromkeys(label for ex in examples for label in ex.choices or ()))
    closed = isinstance(task.constraint_for(examples[0].choices), OneOf)
    if not closed or len(labels) > MAX_CONFUSION_LABELS:
        return []
    pairs = Counter((ex.reference, made) for ex, made in zip(examples, parsed, strict=True))
    counts = tuple(tuple(pairs[row, column] for column in (*labels, UNPARSED)) for row in labels)
    return [Confusion(task.name, system, labels, counts)]


def _records(
    task: Task,
    system: str,
    examples: Sequence[Example],
    answers: Sequence[Answer],
    parsed: Sequence[Any],
    settings: EvaluationSettings,
) -> Iterator[AnswerRecord]:
    references = [example.reference for example in examples]
    languages = [task.language_of(example) for example in examples]
    statistics = {
        name: get_metric(name).compute_statistics(parsed, references, languages)
        for name in task.metrics
    }
    headline = task.metrics[0]
    alone = get_metric(headline).finish(statistics[headline])
    rows = zip(examples, answers, parsed, alone, languages, strict=True)
    for row, (example, made, prediction, score, language) in enumerate(rows):
        yield AnswerRecord(
            example=example.id,
            task=task.name,
            system=system,
            slices=slices_of(example),
            instruction=example.instruction,
            reference=example.target,
            answer=made.text,
            unparsed=prediction is UNPARSED,
            cut=made.cut,
            ended=made.ended,
            score=float(score),
            transcript=made.transcript,
            choice_scores=made.choice_scores,
            language=language,
            choices=example.choices if settings.choices_per_prompt else None,
            utterance=example.utterance.id,
            clip=example.utterance.audio,
            beside=tuple(clip.audio for clip in example.utterance.beside),
            statistics={name: tuple(of_all[row].tolist()) for name, of_all in statistics.items()},
        )
