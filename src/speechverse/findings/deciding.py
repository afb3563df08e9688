"""From kept answers to verdicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from speechverse.errors import UserError
from speechverse.evaluation.comparison import Questions, classes_of, compare, questions_of
from speechverse.evaluation.results import in_words, load_answers, load_results
from speechverse.findings.finding import (
    HELD,
    NOT_HELD,
    NOT_SHOWN,
    NOT_TESTABLE,
    Answers,
    Claimed,
    Finding,
    Verdict,
    verdict_of,
    verdict_of_all,
)
from speechverse.metrics import Interval, Metric, get_metric
from speechverse.tasks import get_task


@dataclass(frozen=True)
class Row:
    """One comparison, decided; values in the points that tables show.

    Attributes:
        better, than: What is compared: a system, its evaluation and task, and whom it is the best
            of.
        gain: Of the better over the other with its 95 % interval: positive is as claimed, whatever
            the metric's direction.
        p_value: Of the permutation test.
        why: Why it could not be made, or shows nothing; empty if neither.
    """

    what: str
    verdict: Verdict
    counts: bool
    metric: str = ""
    better: str = ""
    better_value: Interval | None = None
    than: str = ""
    than_value: Interval | None = None
    gain: Interval | None = None
    margin: float = 0.0
    p_value: float | None = None
    num_examples: int = 0
    why: str = ""


@dataclass(frozen=True)
class Decided:
    """A finding as it came out.

    Attributes:
        evaluations: Names of the folders that it rests on.
        command: Gives its numbers again.
    """

    id: str
    claim: str
    source: str
    rule: str
    verdict: Verdict
    rows: tuple[Row, ...]
    evaluations: tuple[str, ...]
    command: str
    reason: str = ""
    trainings: tuple[str, ...] = ()

    @property
    def summary(self) -> str:
        """The verdict, and how many comparisons it is drawn from where some could not be made."""
        counted = [row.verdict for row in self.rows if row.counts]
        compared = len(counted) - counted.count(NOT_TESTABLE)
        part = f" ({compared} of {len(counted)} compared)"
        return self.verdict + (part if 0 < compared < len(counted) else "")


def decide(
    finding: Finding,
    folders: Mapping[str, Path | str],
    command: str,
    trainings: tuple[str, ...] = (),
) -> Decided:
    """Compares what was answered.

    Args:
        folders: Of the evaluations, by name; or why there is none.
    """
    rows = tuple(_row(claimed, folders) for claimed in finding.claims)
    verdicts = [row.verdict for row in rows if row.counts]
    made = tuple(name for name, place in folders.items() if isinstance(place, Path))
    return Decided(
        id=finding.id,
        claim=finding.claim,
        source=finding.source,
        rule=finding.rule,
        verdict=verdict_of_all(verdicts, finding.needed),
        rows=rows,
        evaluations=made,
        command=command,
        reason=finding.reason,
        trainings=trainings,
    )


class Diverged(str):
    """Why there are no answers: the training of who should give them has diverged."""


def _row(claimed: Claimed, folders: Mapping[str, Path | str]) -> Row:
    better, than = (folders[side.asked.name] for side in (claimed.better, claimed.than))
    if isinstance(better, Path) and isinstance(than, Diverged):
        return Row(claimed.what, HELD, claimed.counts, why=than)
    if isinstance(better, Diverged) and isinstance(than, Path):
        return Row(claimed.what, NOT_HELD, claimed.counts, why=better)
    try:
        return _compared(claimed, folders)
    except _NotMeasuredError as lack:
        return Row(claimed.what, NOT_TESTABLE, claimed.counts, why=str(lack))


_FEWEST = 10
_RULE_OF_THREE = 300.0
"""Points by the number of clips: what never came in n may come in up to 3 / n of all (95 %)."""


class _NotMeasuredError(Exception):
    """What a comparison lacks."""


def _compared(claimed: Claimed, folders: Mapping[str, Path | str]) -> Row:
    sides = claimed.than, claimed.better
    found = [_answers(side, folders[side.asked.name]) for side in sides]
    metrics = found[0].metric, found[1].metric
    if found[0].scoring != found[1].scoring:
        rules = " and ".join(answers.scoring for answers in found)
        raise _NotMeasuredError(f"the two sides were scored by other rules: {rules}")
    try:
        classes = found[0].classes, found[1].classes
        compared = compare(found[0].questions, found[1].questions, metrics, classes=classes)
    except UserError as error:
        raise _NotMeasuredError(str(error)) from error
    metric = get_metric(metrics[1])
    sign = 1.0 if metric.higher_is_better else -1.0
    value, *ends = (sign * metric.shown(part) for part in compared.difference[:3])
    gain = Interval(value, min(ends), max(ends))
    shown = [Interval(*map(metric.shown, part)) for part in (compared.first, compared.second)]
    names = [answers.told for answers in found]
    floor = _floor(metric, claimed.margin, found[0].classes)
    is_floor = shown[0].value <= floor if metric.higher_is_better else shown[0].value >= floor
    verdict, why = judge(gain, claimed.margin, compared.num_clips, is_floor)
    return Row(
        what=claimed.what,
        verdict=verdict,
        why=why,
        counts=claimed.counts,
        metric=metric.label,
        better=names[1],
        better_value=shown[1],
        than=names[0],
        than_value=shown[0],
        gain=gain,
        margin=claimed.margin,
        p_value=compared.difference.p_value,
        num_examples=compared.num_examples,
    )


def judge(gain: Interval, margin: float, clips: int, than_floor: bool) -> tuple[Verdict, str]:
    """The verdict on a gain in points, and why it shows nothing where its interval alone says more.

    Args:
        than_floor: Whether the side it is over is so bad that nothing is worse by the margin.
    """
    by_interval = verdict_of(gain.low, gain.high, margin)
    if by_interval == HELD and gain.low <= 0 and than_floor:
        return NOT_SHOWN, "what it is compared with hardly beats guessing; close to that is nothing"
    if clips < _FEWEST:
        return NOT_SHOWN, f"fewer than {_FEWEST} clips show nothing"
    # Where all clips are alike, the bootstrap knows of no others.
    low = gain.low if gain.low < gain.high else gain.low - _RULE_OF_THREE / clips
    verdict = verdict_of(low, gain.high, margin)
    if verdict != by_interval:
        return verdict, f"{clips} clips that are all alike do not show that the others are"
    return verdict, ""


def _floor(metric: Metric, margin: float, classes: Sequence[str]) -> float:
    """The score, on the scale that it is shown on, below which nothing lies by more than the
    margin: near what one and the same answer to every question would get.
    """
    if not metric.higher_is_better:
        return 100 - margin
    return margin + (100 / len(classes) if classes else 0)


@dataclass(frozen=True)
class _Found:
    told: str
    metric: str
    scoring: str
    questions: Questions
    classes: tuple[str, ...]


def _answers(side: Answers, folder: Path | str) -> _Found:
    """The answers of the best of the systems, by the task's headline."""
    if isinstance(folder, str):
        raise _NotMeasuredError(folder)
    for task in side.asked.tasks:  # which makes known what its metrics are called
        get_task(task)
    results, records = _read_evaluation(folder)
    report = next((one for one in results.tasks if one.name == side.task), None)
    if report is None:
        lacks = (left.reason for left in results.not_measured if left.name == side.task)
        raise _NotMeasuredError(f"{side.task} was not measured: {next(lacks, 'it was not asked')}")
    best = results.best_of(side.task, side.systems)
    if best is None:
        raise _NotMeasuredError(f"none of {', '.join(side.systems)} answered {side.task}")
    asked = questions_of(records, side.task, best.system, side.variant)
    if not asked:
        raise _NotMeasuredError(f"{side.task} has no questions '{side.variant}'")
    metric = side.metric or report.metrics[0]
    there = [name for name in side.systems if results.score(side.task, name)]
    best_of = f"; the best of {in_words(there)}" if len(side.systems) > 1 else ""
    return _Found(
        told=f"{best.system} ({side.asked.name}, {side.task}{best_of})",
        metric=metric,
        scoring=results.signatures.get(metric, ""),
        questions=asked,
        classes=classes_of(side.task, metric, results),
    )


@lru_cache(maxsize=64)
def _read(folder: Path, changed: int) -> tuple:
    return load_results(folder), load_answers(folder)


def _read_evaluation(folder: Path) -> tuple:
    return _read(folder, (folder / "results.json").stat().st_mtime_ns)
