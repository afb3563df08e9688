"""The runner: tasks times systems on one split of a corpus, to numbers with intervals and every answer kept."""

from __future__ import annotations

import datetime
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from speechverse import __version__, audio
from speechverse.data import Corpus, FeatureCache, render_for_evaluation
from speechverse.decoding import DecodingOptions
from speechverse.encoders.ctc import CtcRecogniser
from speechverse.errors import AudioError, CorpusError, UserError
from speechverse.evaluation.provenance import describe_split
from speechverse.evaluation.results import (
    WHOLE,
    AnswerRecord,
    Confusion,
    Results,
    Score,
    TaskReport,
    Timing,
    save_results,
)
from speechverse.evaluation.systems import OPEN_SET, Parts, System, WithoutWords, check_systems, make_systems
from speechverse.metrics import UNPARSED, bootstrap, get_metric
from speechverse.tasks import OneOf, Task, get_task, task_names
from speechverse.types import SAMPLING_RATE, Answer, Example, Utterance

logger = logging.getLogger(__name__)

MAX_CONFUSION_LABELS = 64
MAX_BAD_SHARE = 0.05
TRAINING_EXAMPLES = 2000

Watch = Callable[[int, int, str], None]
"""Told of progress: how many are done, how many there are, and what is being done."""

Asked = list[tuple[Task, list[Example]]]
"""What a split is asked, task by task."""


@dataclass(frozen=True, slots=True)
class EvaluationSettings:
    """What is evaluated, and how.

    Attributes:
        split: The corpus's split.
        tasks: Names of tasks; `all` is every task the split has labels for.
        systems: Names of systems.
        limit: Utterances a task, chosen by hash; None takes all.
        wording: Whether to ask in instructions seen in training or held out from it.
        seed: Of the choice of utterances, of instructions and of the bootstrap.
        num_resamples: Bootstrap resamples under each interval.
        decoding: How all systems decode.
    """

    split: str = "test"
    tasks: tuple[str, ...] | Literal["all"] = "all"
    systems: tuple[str, ...] = ("speechverse", "cascade-ctc", "cascade", "oracle", "log-mel", "majority")
    limit: int | None = 300
    wording: Literal["seen", "held_out"] = "seen"
    seed: int = 0
    num_resamples: int = 1000
    decoding: DecodingOptions = field(default_factory=DecodingOptions)

    def __post_init__(self) -> None:
        if self.limit is not None and self.limit < 1:
            raise UserError(f"the limit is {self.limit}; it must be at least 1 (leave it out to take everything)")
        check_systems(self.systems)
        for name in self.tasks if self.tasks != "all" else ():
            get_task(name)


def evaluate(
    model: Any,
    processor: Any,
    corpus: Corpus,
    settings: EvaluationSettings,
    *,
    output: Path | None = None,
    features: Path | None = None,
    recogniser: CtcRecogniser | None = None,
    about_model: Mapping[str, Any] | None = None,
    watch: Watch = lambda done, total, what: None,
) -> Results:
    """Evaluates a model and the systems beside it.

    Args:
        model: The SpeechVerse model.
        processor: Its processor.
        corpus: Where the clips are.
        settings: What to evaluate.
        output: Folder for `results.json` and `answers.jsonl`; None writes nothing.
        features: Folder for what the encoder hears, once for all tasks and systems, in its own precision; what is there
            already is not heard again. With None each clip is heard anew for every answer.
        recogniser: The CTC recogniser of the encoder, for `cascade-ctc` (see `provenance.find_recogniser`).
        about_model: What the results say of the model (see `provenance.describe`).
        watch: Told of progress.

    Raises:
        UserError: For an unknown task, system or split, or a corpus with more than 5 % of its clips unusable.
        CacheError: If `features` holds another encoder's outputs, or cannot be written to.
    """
    parts = Parts(model, processor, settings.decoding, None, _training_examples(corpus, settings), recogniser)
    systems = make_systems(settings.systems, parts)
    run = _Run(settings, watch)
    asked = run.ask(corpus)
    if features is not None and any(system.hears for system in systems):
        started = time.perf_counter()
        parts.cache = hear(model, processor, (example for _, some in asked for example in some), features, watch)
        run.hearing_seconds = round(time.perf_counter() - started, 3)
    plan = run.plan(corpus, asked, ExampleCheck(processor, parts.cache))
    run.total = sum(len(examples) for _, examples in plan) * len(systems)
    for task, examples in plan:
        for system in systems:
            run.measure(task, examples, system)
    if "train" not in corpus.splits:
        run.notes += [
            f"{system.name}: the corpus has no training split, so {system.without_training}"
            for system in systems
            if isinstance(system, WithoutWords)
        ]
    results = run.results(corpus, systems, dict(about_model or {}))
    if output is not None:
        save_results(output, results, [record.as_dict() for record in run.records])
    return results


def _training_examples(corpus: Corpus, settings: EvaluationSettings) -> Callable[[str], Sequence[Example]]:
    """Examples of the training split, for the systems that know nothing but its answers."""

    @lru_cache
    def of(task: str) -> tuple[Example, ...]:
        if "train" not in corpus.splits:
            return ()
        try:
            return tuple(
                render_for_evaluation(
                    corpus, "train", task, wording="seen", limit=TRAINING_EXAMPLES, seed=settings.seed
                )
            )
        except CorpusError:  # the training split need not have every label that the test split has
            return ()

    return of


def hear(model: Any, processor: Any, examples: Iterable[Example], folder: Path, watch: Watch) -> FeatureCache:
    """Encoder outputs of every clip that can be heard as far as is known before it is, in the encoder's own precision.

    How many may be unreadable is judged afterwards.
    """
    found = {example.utterance.id: example.utterance for example in examples}
    limit = processor.max_audio_seconds
    utterances = [clip for clip in found.values() if clip.duration <= limit and clip.audio.path.exists()]
    encoder, dtype, done = model.encoder, model.encoder.model.dtype, 0
    what = f"encoder outputs, {FeatureCache.size(encoder, utterances, dtype) / 2**20:,.0f} MiB"

    def progress(count: int) -> None:
        nonlocal done
        done += count
        watch(done, len(utterances), what)

    progress(0)
    return FeatureCache.build(encoder, utterances, folder, dtype=dtype, max_bad_share=1.0, progress=progress)


class ExampleCheck:
    """Says why an example cannot be asked; each clip is tried once, before any system hears it."""

    def __init__(self, processor: Any, cache: FeatureCache | None) -> None:
        self.processor = processor
        self.cache = cache
        self.clips: dict[str, str | None] = {}

    def __call__(self, example: Example) -> str | None:
        utterance = example.utterance
        if utterance.id not in self.clips:
            self.clips[utterance.id] = self._clip(utterance)
        return self.clips[utterance.id] or self._prompt(example)

    def _clip(self, utterance: Utterance) -> str | None:
        limit = self.processor.max_audio_seconds
        if utterance.duration > limit:
            return f"longer than {limit:g} s"
        try:
            self._try(utterance)
        except AudioError as error:
            logger.warning("clip %s is left out: %s", utterance.id, error)
            return "unreadable"
        return None

    def _try(self, utterance: Utterance) -> None:
        if self.cache is None:
            audio.load(utterance.audio)
        elif utterance not in self.cache:
            self.cache[utterance]  # raises, saying why it is not there

    def _prompt(self, example: Example) -> str | None:
        limit = self.processor.config.llm_max_positions
        num_samples = round(example.utterance.duration * SAMPLING_RATE)
        if limit and self.processor.num_positions(example.instruction, num_samples=num_samples) > limit:
            return f"longer than the LLM's {limit} positions"
        return None


@dataclass
class _Run:
    """One evaluation on its way: what has been found so far."""

    settings: EvaluationSettings
    watch: Watch
    reports: list[TaskReport] = field(default_factory=list)
    scores: list[Score] = field(default_factory=list)
    timings: list[Timing] = field(default_factory=list)
    confusions: list[Confusion] = field(default_factory=list)
    records: list[AnswerRecord] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    hearing_seconds: float | None = None
    done: int = 0
    total: int = 0

    def ask(self, corpus: Corpus) -> Asked:
        """The examples of each task."""
        settings, asked = self.settings, []
        corpus.utterances(settings.split)
        names = task_names() if settings.tasks == "all" else settings.tasks
        for task in map(get_task, dict.fromkeys(names)):
            try:
                examples = render_for_evaluation(
                    corpus, settings.split, task, wording=settings.wording, limit=settings.limit, seed=settings.seed
                )
            except CorpusError as error:
                if settings.tasks != "all":
                    raise
                self.notes.append(f"{task.name}: not evaluated: {error}")
                continue
            asked.append((task, examples))
        if not asked:
            raise CorpusError(f"split '{settings.split}' of corpus '{corpus.name}' has labels for none of the tasks")
        return asked

    def plan(self, corpus: Corpus, asked: Asked, check: ExampleCheck) -> Asked:
        """The examples without clips that cannot be used; those are counted."""
        plan = []
        for task, examples in asked:
            reasons = [check(example) for example in examples]
            usable = [example for example, reason in zip(examples, reasons, strict=True) if reason is None]
            skipped = Counter(reason for reason in reasons if reason)
            _refuse_if_bad(corpus, self.settings.split, len(examples), skipped)
            self.reports.append(
                TaskReport(
                    task.name,
                    task.title,
                    task.version,
                    task.metrics,
                    len(usable),
                    skipped,
                    about_the_voice=task.is_about_the_voice,
                )
            )
            plan.append((task, usable))
            self.notes += filter(None, [_language_note(task, usable)])
        return plan

    @contextmanager
    def _timed(self, task: Task, system: System, num_answers: int) -> Iterator[Callable[[int], None]]:
        what, before, started = f"{task.name} · {system.name}", self.done, time.perf_counter()

        def progress(count: int) -> None:
            self.done += count
            self.watch(self.done, self.total, what)

        self.watch(self.done, self.total, what)
        yield progress
        self.done = before + num_answers
        self.timings.append(Timing(task.name, system.name, round(time.perf_counter() - started, 3), num_answers))

    def measure(self, task: Task, examples: Sequence[Example], system: System) -> None:
        """Lets one system answer one task, and scores it."""
        if lack := system.missing(examples):
            self.total -= len(examples)
            if lack != OPEN_SET:
                self.notes.append(f"{task.name} by {system.name}: not measured: {lack}")
            return
        with self._timed(task, system, len(examples)) as progress:
            answers = system.answer(examples, progress)
        predictions = [task.parse(made.text, ex.choices) for made, ex in zip(answers, examples, strict=True)]
        self._score(task, system.name, examples, predictions)
        self._confuse(task, system.name, examples, predictions)
        self._record(task, system.name, examples, answers, predictions)

    def _score(self, task: Task, system: str, examples: Sequence[Example], predictions: Sequence[Any]) -> None:
        for part, rows in _slices(examples).items():
            references = [examples[row].reference for row in rows]
            languages = [task.language_of(examples[row]) for row in rows]
            for name in task.all_metrics if part == WHOLE else task.metrics[:1]:
                interval = bootstrap(
                    name,
                    [predictions[row] for row in rows],
                    references,
                    num_samples=self.settings.num_resamples,
                    seed=self.settings.seed,
                    languages=languages,
                )
                normalizer = get_metric(name).normalizers(references, languages)
                self.scores.append(Score(task.name, system, part, name, *interval, len(rows), normalizer))

    def _confuse(self, task: Task, system: str, examples: Sequence[Example], predictions: Sequence[Any]) -> None:
        labels = examples[0].choices or ()
        if not isinstance(task.constraint_for(labels), OneOf) or len(labels) > MAX_CONFUSION_LABELS:
            return
        pairs = Counter((example.reference, made) for example, made in zip(examples, predictions, strict=True))
        counts = tuple(tuple(pairs[row, column] for column in (*labels, UNPARSED)) for row in labels)
        self.confusions.append(Confusion(task.name, system, labels, counts))

    def _record(
        self,
        task: Task,
        system: str,
        examples: Sequence[Example],
        answers: Sequence[Answer],
        predictions: Sequence[Any],
    ) -> None:
        metric = get_metric(task.metrics[0])
        references, languages = zip(*((ex.reference, task.language_of(ex)) for ex in examples), strict=True)
        alone = metric.finish(metric.checked_statistics(predictions, references, languages))
        for example, made, prediction, score in zip(examples, answers, predictions, alone, strict=True):
            self.records.append(
                AnswerRecord(
                    example=example.id,
                    task=task.name,
                    system=system,
                    slices=_slices_of(example),
                    instruction=example.instruction,
                    reference=example.target,
                    answer=made.text,
                    unparsed=prediction is UNPARSED,
                    score=float(score),
                    transcript=made.transcript,
                    choice_scores=made.choice_scores,
                )
            )

    def results(self, corpus: Corpus, systems: Sequence[System], about_model: Mapping[str, Any]) -> Results:
        """Everything found, with what it takes to find it again."""
        metrics = {name for report in self.reports for name in report.metrics}
        return Results(
            model=about_model,
            corpus=describe_split(corpus, self.settings.split),
            settings=asdict(self.settings),
            systems={system.name: system.title for system in systems},
            tasks=self.reports,
            scores=self.scores,
            timings=self.timings,
            hearing_seconds=self.hearing_seconds,
            confusions=self.confusions,
            notes=self.notes,
            normalizer=", ".join(sorted({name for score in self.scores for name in _ids(score.normalizer)})),
            signatures={name: text for name in sorted(metrics) if (text := get_metric(name).signature())},
            created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            version=__version__,
        )


def _ids(normalizers: str) -> list[str]:
    """The ids in `Score.normalizer`, without their counts."""
    return [part.split()[0] for part in normalizers.split(", ") if part]


def _language_note(task: Task, examples: Sequence[Example]) -> str | None:
    """Says that a language was taken for granted, where a score goes by it."""
    unknown = sum(task.language_of(example) is None for example in examples)
    if not unknown or not any(get_metric(name).by_language for name in task.metrics):
        return None
    return (
        f"{task.name}: {unknown} of {len(examples)} examples name no language; what is in Latin letters was compared "
        "by the rules for English (give the corpus's lines a `language` if it is another)"
    )


def _refuse_if_bad(corpus: Corpus, split: str, num_examples: int, skipped: Counter[str]) -> None:
    bad = skipped["unreadable"]
    if bad > MAX_BAD_SHARE * num_examples or sum(skipped.values()) == num_examples:
        counts = ", ".join(f"{count} {reason}" for reason, count in skipped.items())
        raise CorpusError(
            f"split '{split}' of corpus '{corpus.name}': of {num_examples} examples {counts}; at most "
            f"{MAX_BAD_SHARE:.0%} may be unreadable and some must be left; mend the corpus (the log names the clips)"
        )


def _slices_of(example: Example) -> tuple[str, ...]:
    stratum = example.utterance.labels.get("stratum")
    named = (("group", example.group), ("stratum", stratum))
    return tuple(f"{kind}: {value}" for kind, value in named if value)


def _slices(examples: Sequence[Example]) -> dict[str, list[int]]:
    """Rows of the whole set and of each part of it; a part that is the whole says nothing new."""
    rows: dict[str, list[int]] = {WHOLE: list(range(len(examples)))}
    for row, example in enumerate(examples):
        for part in _slices_of(example):
            rows.setdefault(part, []).append(row)
    return {part: places for part, places in rows.items() if part == WHOLE or len(places) < len(examples)}
