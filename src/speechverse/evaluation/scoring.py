"""Answers to one task by one system, scored: numbers with intervals, confusions, and each answer as
it is kept.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from speechverse.evaluation.results import (
    WHOLE,
    AnswerRecord,
    Clip,
    Confusion,
    Score,
    slices,
    slices_of,
)
from speechverse.metrics import UNPARSED, bootstrap, get_metric
from speechverse.tasks import OneOf, Task
from speechverse.types import CUT, Answer, AudioRef, Ended, Example

if TYPE_CHECKING:
    from speechverse.evaluation.runner import EvaluationSettings

MAX_CONFUSION_LABELS = 64

WHY_CUT: dict[Ended, str] = {
    "length": "at the most tokens they may have (--max-new-tokens)",
    "positions": "where the LLM's positions end",
    "loop": "as they turned in circles",
}


@dataclass(frozen=True)
class Record:
    """An answer as it is written, and the recording that was heard."""

    answer: AnswerRecord
    audio: AudioRef

    def written_from(self, folder: Path) -> AnswerRecord:
        return replace(self.answer, clip=Clip.seen_from(folder, self.audio))


@dataclass
class Scored:
    """What has been scored so far."""

    scores: list[Score] = field(default_factory=list)
    confusions: list[Confusion] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def score_answers(
    scored: Scored,
    task: Task,
    system: str,
    examples: Sequence[Example],
    answers: Sequence[Answer],
    settings: EvaluationSettings,
) -> None:
    """Adds what one system's answers to one task are worth."""
    predictions = [
        task.parse(made.text, ex.choices) for made, ex in zip(answers, examples, strict=True)
    ]
    _Cell(scored, task, system, examples, answers, predictions, settings).score()


@dataclass(frozen=True)
class _Cell:
    scored: Scored
    task: Task
    system: str
    examples: Sequence[Example]
    answers: Sequence[Answer]
    predictions: Sequence[Any]
    settings: EvaluationSettings

    def score(self) -> None:
        for part, rows in slices(self.examples).items():
            for name in self.task.all_metrics if part == WHOLE else self.task.metrics[:1]:
                self._add_score(name, part, rows)
        self._count_cut()
        self._confuse()
        self._record()

    def _add_score(self, name: str, part: str, rows: Sequence[int]) -> None:
        references = [self.examples[row].reference for row in rows]
        languages = [self.task.language_of(self.examples[row]) for row in rows]
        interval = bootstrap(
            name,
            [self.predictions[row] for row in rows],
            references,
            **self._how,
            languages=languages,
        )
        normalizer = get_metric(name).normalizers(references, languages)
        self.scored.scores.append(
            Score(self.task.name, self.system, part, name, *interval, len(rows), normalizer)
        )

    @property
    def _how(self) -> dict[str, Any]:
        return {"num_samples": self.settings.num_resamples, "seed": self.settings.seed}

    def _count_cut(self) -> None:
        """What did not come to its own end, as a score of its own and, if there is any, a note."""
        endings = [made.ended for made in self.answers]
        interval = bootstrap("cut_rate", endings, endings, **self._how)
        self.scored.scores.append(
            Score(self.task.name, self.system, WHOLE, "cut_rate", *interval, len(endings))
        )
        if cut := Counter(ended for ended in endings if ended in CUT):
            reasons = ", ".join(f"{count} {WHY_CUT[ended]}" for ended, count in cut.items())
            told = f"{cut.total()} of {len(endings)} answers are cut: {reasons}"
            self.scored.notes.append(f"{self.task.name} by {self.system}: {told}")

    def _confuse(self) -> None:
        labels = tuple(
            dict.fromkeys(label for example in self.examples for label in example.choices or ())
        )
        closed = isinstance(self.task.constraint_for(self.examples[0].choices), OneOf)
        if not closed or len(labels) > MAX_CONFUSION_LABELS:
            return
        pairs = Counter(
            (ex.reference, made) for ex, made in zip(self.examples, self.predictions, strict=True)
        )
        counts = tuple(
            tuple(pairs[row, column] for column in (*labels, UNPARSED)) for row in labels
        )
        self.scored.confusions.append(Confusion(self.task.name, self.system, labels, counts))

    def _record(self) -> None:
        metric = get_metric(self.task.metrics[0])
        languages = [self.task.language_of(example) for example in self.examples]
        references = [example.reference for example in self.examples]
        alone = metric.finish(metric.checked_statistics(self.predictions, references, languages))
        rows = zip(self.examples, self.answers, self.predictions, alone, languages, strict=True)
        for example, made, prediction, score, language in rows:
            answer = AnswerRecord(
                example=example.id,
                task=self.task.name,
                system=self.system,
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
                choices=example.choices if self.settings.choices_per_prompt else None,
            )
            self.scored.records.append(Record(answer, example.utterance.audio))
