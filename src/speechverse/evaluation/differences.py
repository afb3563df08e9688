"""What one way of asking gains over another, over the clips that were asked both ways."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from speechverse.evaluation.results import Score
from speechverse.metrics import bootstrap_difference
from speechverse.tasks import Task
from speechverse.types import Example


def differences(
    task: Task,
    system: str,
    examples: Sequence[Example],
    predictions: Sequence[Any],
    num_samples: int,
    seed: int,
) -> Iterator[Score]:
    """Scores whose value is a variant's less the baseline's (`Task.baseline`), one for each of the
    task's metrics of parts; none where the task compares nothing.

    Args:
        task: The task.
        system: Who answered.
        examples: Of all variants.
        predictions: One for each example.
        num_samples: Bootstrap resamples under an interval.
        seed: Of the bootstrap.
    """
    rows: dict[str, dict[str, int]] = {}
    for row, example in enumerate(examples):
        rows.setdefault(example.group, {})[example.utterance.id] = row
    before = rows.pop(task.baseline, {}) if task.baseline is not None else {}
    for variant, after in rows.items() if before else ():
        pairs = [(before[clip], row) for clip, row in after.items() if clip in before]
        if not pairs:
            continue
        compared = [examples[row] for _, row in pairs]
        for metric in task.part_metrics:
            interval = bootstrap_difference(
                metric,
                ([predictions[row] for row, _ in pairs], [predictions[row] for _, row in pairs]),
                [example.reference for example in compared],
                num_samples,
                seed,
                [task.language_of(example) for example in compared],
            )
            part = f"difference: {variant} − {task.baseline}"
            yield Score(task.name, system, part, metric, *interval, len(pairs))
