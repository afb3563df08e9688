"""What an evaluation found: `results.json` with every number, `answers.jsonl` with every answer."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from speechverse.errors import TaskError, UserError, first_line
from speechverse.files import disk_full_as_error, write_text
from speechverse.metrics import METRICS, get_metric
from speechverse.registry import names_a_file
from speechverse.tasks import get_task
from speechverse.tasks.joint import SIGN
from speechverse.types import AudioRef, Ended, Example

SCHEMA = 2
RESULTS, ANSWERS = "results.json", "answers.jsonl"
OWN = "speechverse"
_CASCADES = ("cascade-whisper", "cascade-whisper-tuned", "cascade-ctc", "cascade", "cascade-tuned")
_READERS = (*_CASCADES, "oracle", "oracle-tuned")
_LENGTHS = (
    (2.0, "under 2 s"),
    (5.0, "2 to 5 s"),
    (10.0, "5 to 10 s"),
    (float("inf"), "10 s and more"),
)
_A_SPEAKER = 10
"""Clips under which a speaker's own score says nothing."""
WHOLE = "all"
"""The slice that is the whole test set."""


@dataclass(frozen=True, slots=True)
class Score:
    """A metric of one system on one slice of one task, with its 95 % bootstrap interval.

    `slice` is `all`, or a part scored apart, such as `group: de` or `stratum: names`. `normalizer`
    is the id of the text normaliser both sides went through, with counts where languages differ;
    empty for metrics without one.
    """

    task: str
    system: str
    slice: str
    metric: str
    value: float
    low: float
    high: float
    num_examples: int
    normalizer: str = ""


@dataclass(frozen=True, slots=True)
class TaskReport:
    """A task as it was evaluated; `metrics` starts with the headline, `skipped` counts clips left
    out by reason.

    `about_the_voice` says that no transcript tells its answer; `not_asked` counts the clips of the
    split that lack what the task asks for, by what they lack; `classes` names what the statistics
    of a metric by class count, in their order (see `Metric.classes`).
    """

    name: str
    title: str
    version: int
    metrics: tuple[str, ...]
    num_examples: int
    skipped: Mapping[str, int]
    about_the_voice: bool = False
    not_asked: Mapping[str, int] = field(default_factory=dict)
    classes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NotMeasured:
    """A task that was to be evaluated and could not be, and why."""

    name: str
    title: str
    reason: str


@dataclass(frozen=True, slots=True)
class Timing:
    """Wall time of one system on one task, with the transcripts that it stands on, whoever had them
    written; and the tokens of its answers, as the model's own tokenizer counts everybody's.
    """

    task: str
    system: str
    seconds: float
    num_answers: int
    num_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Confusion:
    """How often each label (row) got each answer (column; the last one is "unreadable")."""

    task: str
    system: str
    labels: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class Calibration:
    """How often answers of a system to a closed task are right, by the probability of what it chose
    by scoring.

    `bins` are (answers, mean probability, share right) of ten bins of one width; `curve` is
    (threshold, share answered, share of these right) at each tenth of the clips; `threshold` is the
    lowest from which on 90 % are right, None if there is none.
    """

    task: str
    system: str
    bins: tuple[tuple[int, float, float], ...]
    curve: tuple[tuple[float, float, float], ...]
    threshold: float | None


@dataclass(frozen=True, slots=True)
class Paired:
    """A system's headline score of a task less another's over the same examples, with the 95 %
    interval and the test of the pairs.
    """

    task: str
    system: str
    other: str
    metric: str
    value: float
    low: float
    high: float
    p_value: float
    num_examples: int

    @property
    def is_clear(self) -> bool:
        """Whether the interval leaves 0 out, and swapping the answers by lot does not give as much:
        where all of few pairs differ alike, the interval has no width.
        """
        return self.p_value <= 0.05 and (self.low > 0 or self.high < 0)


@dataclass(frozen=True, slots=True)
class AnswerRecord:
    """One answer of one system; `score` is the headline metric on this example alone, `statistics`
    what each of the task's metrics sums over examples (see `metrics.Metric`), for paired
    comparisons.

    `cut` says that it did not come to its own end, `ended` why (see `types.Ended`); `language` is
    the right answer's, where it is known; `choices` are there where they were drawn for the
    example; `utterance` is the clip's id, empty in older files; `beside` are the further clips that
    it is about, behind `clip`. In the file clips are named from the results' folder: results that
    move with their clips keep them.
    """

    example: str
    task: str
    system: str
    slices: tuple[str, ...]
    instruction: str
    reference: str
    answer: str
    unparsed: bool
    score: float
    cut: bool = False
    ended: Ended = "end"
    transcript: str | None = None
    choice_scores: Mapping[str, float] | None = None
    language: str | None = None
    choices: tuple[Any, ...] | None = None
    utterance: str = ""
    clip: AudioRef | None = None
    beside: tuple[AudioRef, ...] = ()
    statistics: Mapping[str, tuple[float, ...]] = field(default_factory=dict)

    @property
    def clips(self) -> tuple[AudioRef, ...]:
        """All that it is about, in order; none where they are not known."""
        return (self.clip, *self.beside) if self.clip else ()


@dataclass(frozen=True, slots=True)
class Results:
    """Everything measured, with what it takes to measure it again.

    Attributes:
        model: Name, fingerprints, recipe and layer weights.
        corpus: Name, split and manifest hash.
        systems: Name to what it is.
        hearing_seconds: Wall time of encoding all clips beforehand; None where each answer's time
            holds its own.
        hearing: The systems that share it: their answers' time is without.
        notes: What was left out, and why.
        normalizer: Ids of all text normalisers under the scores; each score names its own.
        signatures: Metric to the tools and settings it was computed with.
        paired: The model's score of each task less every other system's, in pairs.
    """

    model: Mapping[str, Any]
    corpus: Mapping[str, Any]
    settings: Mapping[str, Any]
    systems: Mapping[str, str]
    tasks: Sequence[TaskReport]
    scores: Sequence[Score]
    timings: Sequence[Timing]
    hearing_seconds: float | None = None
    hearing: Sequence[str] = ()
    confusions: Sequence[Confusion] = ()
    notes: Sequence[str] = ()
    normalizer: str = ""
    signatures: Mapping[str, str] = field(default_factory=dict)
    created: str = ""
    version: str = ""
    schema: int = SCHEMA
    not_measured: Sequence[NotMeasured] = ()
    calibrations: Sequence[Calibration] = ()
    paired: Sequence[Paired] = ()

    def score(
        self, task: str, system: str, metric: str | None = None, slice: str = WHOLE
    ) -> Score | None:
        """One number, of the headline metric if none is named; None where it was not measured."""
        metric = metric or next(report.metrics[0] for report in self.tasks if report.name == task)
        wanted = (task, system, slice, metric)
        return next(
            (s for s in self.scores if (s.task, s.system, s.slice, s.metric) == wanted), None
        )

    def best_of(self, task: str, systems: Sequence[str], slice: str = WHOLE) -> Score | None:
        """The best headline score that some of these systems have; None if none was measured."""
        scores = [score for name in systems if (score := self.score(task, name, slice=slice))]
        better = max if scores and get_metric(scores[0].metric).higher_is_better else min
        return better(scores, key=lambda score: score.value, default=None)

    @property
    def cascades(self) -> tuple[str, ...]:
        """Systems that read a transcript which another wrote."""
        return tuple(name for name in self.systems if name.partition(":")[0] in _CASCADES)

    def parts_of(self, task: str) -> list[str]:
        """The parts of a task's examples that are scored apart."""
        found = dict.fromkeys(score.slice for score in self.scores if score.task == task)
        return [part for part in found if part != WHOLE]

    @property
    def left_out(self) -> list[str]:
        """What of the tasks that were measured was left out, a line for each task and reason."""
        return [
            f"{report.name}: {count:,} left out, {reason}"
            for report in self.tasks
            for reason, count in report.skipped.items()
        ]

    @property
    def guessing(self) -> str:
        """Which systems can only guess at which tasks, in a sentence; may be empty."""
        readers = [name for name in self.systems if name.partition(":")[0] in _READERS]
        tasks = [report.title for report in self.tasks if report.about_the_voice]
        if not readers or not tasks:
            return ""
        told = [tasks[0], *(title[0].lower() + title[1:] for title in tasks[1:])]
        return (
            f"{in_words(told)} {'asks' if len(tasks) == 1 else 'ask'} about the voice: where the"
            f" words do not tell, {in_words(readers)} can only guess."
        )


def in_words(names: Sequence[str]) -> str:
    """Names as a sentence lists them; nothing of none."""
    return " and ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))


def slices_of(example: Example) -> tuple[str, ...]:
    """The parts of a test set, scored apart, that an example belongs to."""
    clip, labels = example.utterance, example.utterance.labels
    named = {
        "group": example.group,
        "stratum": labels.get("stratum"),
        "accent": labels.get("accent"),
        "length": next(name for limit, name in _LENGTHS if clip.duration < limit),
        "noise": noise_of(labels.get("noise")),
        "speaker": clip.speaker,
    }
    return tuple(f"{kind}: {value}" for kind, value in named.items() if value)


def noise_of(label: Any) -> str | None:
    """Whether noise was "added", or "none", by a clip's label; None where nothing is told of it."""
    if label is None:
        return None
    return "none" if str(label).lower() in ("", "none", "no", "clean", "false", "0") else "added"


def slices(examples: Sequence[Example]) -> dict[str, list[int]]:
    """Rows of the whole set and of each part of it; a part that is the whole says nothing new."""
    rows: dict[str, list[int]] = {WHOLE: list(range(len(examples)))}
    for row, example in enumerate(examples):
        for part in slices_of(example):
            rows.setdefault(part, []).append(row)
    return {
        part: places
        for part, places in rows.items()
        if part == WHOLE
        or (len(places) < len(examples) and (len(places) >= _A_SPEAKER or not _is_speaker(part)))
    }


def _is_speaker(part: str) -> bool:
    return part.startswith("speaker: ")


_RESULTS, _ANSWER = TypeAdapter(Results), TypeAdapter(AnswerRecord)


def save_results(folder: Path, results: Results, answers: Iterable[AnswerRecord]) -> None:
    """Writes both files; `results.json` comes last, so where it is, all is."""
    placed = (_with_clips(answer, lambda path: os.path.relpath(path, folder)) for answer in answers)
    lines = [_ANSWER.dump_json(answer, exclude_none=True).decode() + "\n" for answer in placed]
    with disk_full_as_error(folder):
        folder.mkdir(parents=True, exist_ok=True)
    (folder / RESULTS).unlink(missing_ok=True)
    write_text(folder / ANSWERS, "".join(lines))
    write_text(folder / RESULTS, _RESULTS.dump_json(results, indent=1).decode() + "\n")


def as_plain(results: Results) -> dict[str, Any]:
    """Results as JSON holds them."""
    return _RESULTS.dump_python(results, mode="json")


def load_results(folder: Path) -> Results:
    """Reads `results.json`.

    Raises:
        UserError: If there is none, it was written by a version with another schema, it is not
            whole, or a task or metric in it is named as a user's file is: none is run for it.
    """
    try:
        raw = json.loads((folder / RESULTS).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(
            f"no evaluation results in {folder}: {error}; run `speechverse evaluate` first"
        ) from error
    found = raw.get("schema") if isinstance(raw, dict) else None
    if found != SCHEMA:
        raise UserError(
            f"{folder / RESULTS} has schema {found}; this version reads {SCHEMA}: run `speechverse"
            " evaluate` anew"
        )
    try:
        results = _RESULTS.validate_python(raw)
    except ValidationError as error:
        raise _not_whole(folder / RESULTS, error) from error
    _refuse_files(folder / RESULTS, results)
    _make_metrics_known(results)
    return results


def _not_whole(path: Path, error: Exception) -> UserError:
    return UserError(
        f"'{path}' is damaged or not whole ({first_line(error)}): copy the folder anew, or run"
        " `speechverse evaluate` again"
    )


def _refuse_files(path: Path, results: Results) -> None:
    """Names that would have a file run: results may come from anybody."""
    metrics = [name for report in results.tasks for name in report.metrics]
    metrics += [scored.metric for scored in results.scores]
    metrics += [pair.metric for pair in results.paired]
    names = dict.fromkeys([*(report.name for report in results.tasks), *metrics])
    for name in names:
        if any(map(names_a_file, name.split(SIGN))):
            raise UserError(
                f"'{path}' names {name!r} for a task or a metric, which is a file: results hold"
                " plain names, and no file is run for them"
            )


def _make_metrics_known(results: Results) -> None:
    """Metrics of joint tasks are there only once their tasks are."""
    for report in results.tasks:
        if SIGN in report.name and any(metric not in METRICS for metric in report.metrics):
            with suppress(TaskError):  # a part is the user's own; whoever needs it says so
                get_task(report.name)


def load_answers(folder: Path) -> list[AnswerRecord]:
    """Reads `answers.jsonl`.

    Raises:
        UserError: If it is missing or not whole.
    """
    place = folder / ANSWERS
    try:
        with place.open(encoding="utf-8") as lines:
            return [
                _with_clips(
                    _ANSWER.validate_json(line), lambda path: os.path.abspath(folder / path)
                )
                for line in lines
            ]
    except (OSError, ValueError) as error:  # a ValidationError is a ValueError
        raise _not_whole(place, error) from error


def _with_clips(answer: AnswerRecord, place: Callable[[Path], str]) -> AnswerRecord:
    placed = [replace(clip, path=Path(place(clip.path))) for clip in answer.clips]
    return replace(answer, clip=placed[0], beside=tuple(placed[1:])) if placed else answer
