"""Answers to the same questions, paired: by two systems, two models or in two ways of asking."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from speechverse.decoding.options import NO_MATTER
from speechverse.errors import UserError
from speechverse.evaluation.results import (
    OWN,
    AnswerRecord,
    Paired,
    Results,
    load_answers,
    load_results,
)
from speechverse.metrics import Difference, Interval, get_metric, paired_difference
from speechverse.metrics.registry import by_clip, interval_of

if TYPE_CHECKING:
    import numpy as np

Questions = Mapping[str, AnswerRecord]
"""Records by what they were asked, each of another clip or variant."""

_PROMPTS = ("wording", "seed", "choices_per_prompt", "descriptions")


@dataclass(frozen=True)
class Comparison:
    """Two ways of answering the same questions: both values, and the second less the first.

    Attributes:
        num_clips: The clips that the questions are about; these are what is resampled.
    """

    first: Interval
    second: Interval
    difference: Difference
    num_examples: int
    num_clips: int


def questions_of(
    records: Iterable[AnswerRecord], task: str, system: str, variant: str = ""
) -> Questions:
    """One system's answers to a task by clip and variant; with a `variant` its own, by clip.

    Named without the task: what a task asks of a clip pairs with what another asks of it.
    """
    found = {}
    for record in records:
        if (record.task, record.system) == (task, system):
            clip = _clip_of(record)
            rest = record.example[len(clip) + len(f"/{task}") :]
            if not variant or f"group: {variant}" in record.slices:
                found[clip if variant else clip + rest] = record
    return found


def compare(
    first: Questions,
    second: Questions,
    metrics: tuple[str, str],
    num_samples: int = 1000,
    seed: int = 0,
    classes: tuple[Sequence[str], Sequence[str]] = ((), ()),
) -> Comparison:
    """Pairs the questions that both were asked.

    Args:
        metrics: What is compared, as the task of either calls it.
        classes: What either's statistics count, where its metric goes by class.

    Raises:
        UserError: If none is shared, the metrics count over other classes, or the answers were
            kept without what pairing needs.
    """
    shared = [name for name in first if name in second]
    if not shared:
        raise UserError("the answers have no question in common, so nothing can be paired")
    mine, theirs = _statistics(second, metrics[1], shared), _statistics(first, metrics[0], shared)
    if mine.shape != theirs.shape or tuple(classes[0]) != tuple(classes[1]):
        counted = (f" ({', '.join(names)})" if names else "" for names in classes)
        sides = (f"'{metric}'{names}" for metric, names in zip(metrics, counted, strict=True))
        raise UserError(
            f"{' and '.join(sides)} count over other classes, as the right answers of the two"
            " sides differ"
        )
    clips = [_clip_of(second[name]) for name in shared]
    mine, theirs = by_clip(mine, clips), by_clip(theirs, clips)
    return Comparison(
        interval_of(get_metric(metrics[0]), theirs, num_samples, seed),
        interval_of(get_metric(metrics[1]), mine, num_samples, seed),
        paired_difference(metrics[0], theirs, mine, num_samples, seed),
        len(shared),
        len(mine),
    )


def _clip_of(record: AnswerRecord) -> str:
    return record.utterance or record.example.rpartition(f"/{record.task}")[0]


def _statistics(side: Questions, metric: str, names: Sequence[str]) -> np.ndarray:
    """What a metric sums over these questions, (N, K)."""
    import numpy as np

    rows = [side[name].statistics.get(metric, ()) for name in names]
    if not all(rows) or len({len(row) for row in rows}) > 1:
        raise UserError(
            f"the answers hold no statistics of '{metric}' to pair; evaluate anew with this version"
        )
    return np.asarray(rows, dtype=np.float64)


def paired_with(
    own: str, results: Results, records: Sequence[AnswerRecord], num_samples: int, seed: int
) -> Iterator[Paired]:
    """One system's headline score of each task less every other's, over the same examples."""
    for report in results.tasks:
        metric, mine = report.metrics[0], questions_of(records, report.name, own)
        for system in results.systems if mine else ():
            theirs = questions_of(records, report.name, system)
            if system != own and theirs:
                found = compare(theirs, mine, (metric, metric), num_samples, seed)
                yield Paired(
                    report.name, own, system, metric, *found.difference, found.num_examples
                )


def compare_folders(
    one: Path, other: Path, systems: tuple[str, str] = (OWN, OWN)
) -> list[tuple[str, str, Comparison]]:
    """Two folders of results, paired question by question: of every task that both measured, its
    name, its headline metric, and the other's score less the one's.

    Args:
        systems: Whose answers of either folder.

    Raises:
        UserError: If data, prompts or decoding differ, saying what; or nothing is shared.
    """
    results = load_results(one), load_results(other)
    answers = load_answers(one), load_answers(other)
    if unlike := [*_unlike_settings(*results), *_unlike_questions(*answers)]:
        told = "\n  ".join(unlike)
        raise UserError(
            f"'{one}' and '{other}' cannot be compared, for they were not asked alike:\n  {told}\n"
            "evaluate both on the same data with the same options"
        )
    metrics = [{report.name: report.metrics[0] for report in side.tasks} for side in results]
    rows = []
    for task, metric in metrics[0].items():
        first, second = (questions_of(a, task, s) for a, s in zip(answers, systems, strict=True))
        if metrics[1].get(task) == metric and first and second:
            classes = classes_of(task, metric, results[0]), classes_of(task, metric, results[1])
            pair = compare(first, second, (metric, metric), classes=classes)
            rows.append((task, metric, pair))
    if not rows:
        raise UserError(
            f"there is no task that '{systems[0]}' answers in '{one}' and '{systems[1]}' in"
            f" '{other}'"
        )
    return rows


def classes_of(task: str, metric: str, results: Results) -> tuple[str, ...]:
    """What the statistics of a task's metric count; none where it goes by no class."""
    reports = (report for report in results.tasks if report.name == task)
    return tuple(next((report.classes.get(metric, ()) for report in reports), ()))


def _unlike_settings(one: Results, other: Results) -> Iterator[str]:
    """What of data, prompts, decoding and scoring two results differ in, a line each."""
    places = [
        (
            "data",
            "manifest",
            one.corpus.get("manifest_sha256"),
            other.corpus.get("manifest_sha256"),
        ),
        ("data", "split", one.corpus.get("split"), other.corpus.get("split")),
    ]
    places += [
        ("scoring", f"the signature of {metric}", signature, other.signatures[metric])
        for metric, signature in one.signatures.items()
        if metric in other.signatures  # others belong to tasks that one side alone measured
    ]
    places += [
        ("prompts", name, one.settings.get(name), other.settings.get(name)) for name in _PROMPTS
    ]
    decoding = [side.settings.get("decoding", {}) for side in (one, other)]
    places += [
        ("decoding", name, *(side.get(name) for side in decoding))
        for name in sorted({*decoding[0], *decoding[1]} - NO_MATTER)
    ]
    versions = [{report.name: report.version for report in side.tasks} for side in (one, other)]
    places += [
        ("prompts", f"version of task {task}", version, versions[1][task])
        for task, version in versions[0].items()
        if task in versions[1]
    ]
    for kind, what, mine, theirs in places:
        if mine != theirs:
            yield f"{kind}: {what} is {_shorten(mine)} in the one, {_shorten(theirs)} in the other"


def _unlike_questions(one: Sequence[AnswerRecord], other: Sequence[AnswerRecord]) -> Iterator[str]:
    """Examples of tasks both were asked that differ, or are in one alone: the first of a kind."""
    asked = [{record.example: record for record in side} for side in (one, other)]
    tasks = {record.task for record in one} & {record.task for record in other}
    names = [{name for name, r in side.items() if r.task in tasks} for side in asked]
    if alone := sorted(names[0] ^ names[1]):
        yield f"data: {len(alone)} questions are in one alone, such as {alone[0]}"
    for kind, what in (("data", "reference"), ("prompts", "instruction"), ("prompts", "choices")):
        for name in sorted(names[0] & names[1]):
            if getattr(asked[0][name], what) != getattr(asked[1][name], what):
                yield f"{kind}: the {what} of {name} differs"
                break


def _shorten(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else text[:57] + "..."
