"""The runner: tasks times systems on one split of a corpus, to numbers with intervals and every answer kept."""

from __future__ import annotations

import datetime
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Literal

from speechverse import __version__
from speechverse.data import Corpus, Rendered, render_for_evaluation, render_split
from speechverse.data.asking import UNUSABLE
from speechverse.decoding import DecodingOptions
from speechverse.encoders.ctc import CtcRecogniser
from speechverse.encoders.whisper_text import WhisperRecogniser
from speechverse.errors import CorpusError, TaskError, UserError
from speechverse.evaluation.clips import (
    UNREADABLE,
    ExampleCheck,
    Watch,
    hear,
    language_note,
    not_asked_notes,
    unread_note,
    unspelt_note,
    why_too_bad,
)
from speechverse.evaluation.journal import AnswerKeys, Journal, answer_kept, answers_kept, at_once
from speechverse.evaluation.provenance import describe_split
from speechverse.evaluation.results import (
    WHOLE,
    AnswerRecord,
    Confusion,
    NotMeasured,
    Results,
    Score,
    TaskReport,
    Timing,
    save_results,
    slices,
    slices_of,
)
from speechverse.evaluation.systems import OPEN_SET, Parts, System, WithoutWords, check_systems, make_systems
from speechverse.metrics import UNPARSED, bootstrap, get_metric
from speechverse.protocols import Model, Processor
from speechverse.tasks import OneOf, Task, get_task, task_names
from speechverse.types import Answer, Ended, Example

MAX_CONFUSION_LABELS = 64
TRAINING_EXAMPLES = 2000

WHY_CUT: dict[Ended, str] = {
    "length": "at the most tokens they may have (--max-new-tokens)",
    "positions": "where the LLM's positions end",
    "loop": "as they turned in circles",
}

Asked = list[tuple[Task, Rendered]]
"""What a split is asked, task by task."""

Planned = list[tuple[Task, list[Example]]]
"""The same without what cannot be used."""

Cell = tuple[Task, list[Example], System]
"""What one system is asked of one task."""


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
    model: Model,
    processor: Processor,
    corpus: Corpus,
    settings: EvaluationSettings,
    *,
    output: Path | None = None,
    features: Path | None = None,
    recogniser: CtcRecogniser | None = None,
    whisper: WhisperRecogniser | None = None,
    reader_lora: Path | None = None,
    about_model: Mapping[str, Any] | None = None,
    watch: Watch = lambda done, total, what: None,
    journal: Journal | None = None,
) -> Results:
    """Evaluates a model and the systems beside it.

    A task that cannot be measured on this split is left out, with its reason in the results.

    Args:
        model: The SpeechVerse model.
        processor: Its processor.
        corpus: Where the clips are.
        settings: What to evaluate.
        output: Folder for `results.json` and `answers.jsonl`; None writes nothing.
        features: Folder for what the encoder hears, once for all tasks and systems, in its own precision; what is there
            already is not heard again. With None each clip is heard anew for every answer.
        recogniser: The CTC recogniser of the encoder, for `cascade-ctc` (see `provenance.find_recogniser`).
        whisper: Whisper with its decoder, for `cascade-whisper` (see `provenance.find_whisper`).
        reader_lora: Folder of a LoRA that reads transcripts, for the cascades that are tuned.
        about_model: What the results say of the model (see `provenance.describe`).
        watch: Told of progress.
        journal: Where answers are kept as they come; by default in `output`, until the results are written.

    Raises:
        UserError: For an unknown task, system or split, or a split that no task can be measured on.
        CacheError: If `features` holds another encoder's outputs, or cannot be written to.
    """
    if journal is None:
        with answers_kept(output) as own:
            return evaluate(
                model,
                processor,
                corpus,
                settings,
                output=output,
                features=features,
                recogniser=recogniser,
                whisper=whisper,
                reader_lora=reader_lora,
                about_model=about_model,
                watch=watch,
                journal=own,
            )
    training = _training_examples(corpus, settings)
    parts = Parts(model, processor, settings.decoding, None, training, recogniser, whisper, reader_lora)
    if features is not None:
        parts.hear = partial(hear, model, processor, folder=features, watch=watch)
    systems = make_systems(settings.systems, parts)
    keys = AnswerKeys.of(model, about_model or {}, settings.decoding) if journal.path else None
    run = _Run(settings, watch, journal, keys, at_once(model, settings.decoding))
    asked = run.ask(corpus)
    unheard = list(run.unanswered(asked, [system for system in systems if system.hears]))
    if features is not None and unheard:
        started = time.perf_counter()
        parts.cache = hear(model, processor, unheard, features, watch)
        run.hearing_seconds = round(time.perf_counter() - started, 3)
    plan = run.plan(corpus, asked, ExampleCheck(processor, parts.cache))
    run.notes += [note for task, some in plan if (note := unspelt_note(processor.text, task.name, some))]
    cells = [(task, examples, system) for task, examples in plan for system in systems]
    run.recall(parts, cells)
    for cell in run.measurable(cells):
        run.measure(*cell)
    if "train" not in corpus.splits:
        run.notes += [
            f"{system.name}: the corpus has no training split, so {system.without_training}"
            for system in systems
            if isinstance(system, WithoutWords) and system.without_training
        ]
    run.notes += parts.notes
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


@dataclass
class _Run:
    """One evaluation on its way: what has been found so far."""

    settings: EvaluationSettings
    watch: Watch
    journal: Journal
    keys: AnswerKeys | None
    at_once: int
    reports: list[TaskReport] = field(default_factory=list)
    not_measured: list[NotMeasured] = field(default_factory=list)
    scores: list[Score] = field(default_factory=list)
    timings: list[Timing] = field(default_factory=list)
    confusions: list[Confusion] = field(default_factory=list)
    records: list[AnswerRecord] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    hearing_seconds: float | None = None
    part: int = 0
    parts: int = 0

    def ask(self, corpus: Corpus) -> Asked:
        """The examples of each task that can be asked."""
        settings, asked = self.settings, []
        names = task_names(corpus.utterances(settings.split)) if settings.tasks == "all" else settings.tasks
        for task in map(get_task, dict.fromkeys(names)):
            try:
                rendered = render_split(
                    corpus, settings.split, task, wording=settings.wording, limit=settings.limit, seed=settings.seed
                )
            except (CorpusError, TaskError) as error:
                self._leave_out(task, getattr(error, "reason", str(error)))
                continue
            asked.append((task, rendered))
        return asked

    def _leave_out(self, task: Task, reason: str) -> None:
        self.not_measured.append(NotMeasured(task.name, task.title, reason))

    def unanswered(self, asked: Asked, systems: Sequence[System]) -> Iterator[Example]:
        """The examples that one at least of these systems has not answered yet."""
        for _, rendered in asked:
            for example in rendered.examples:
                if not all(self._is_answered(system, example) for system in systems):
                    yield example

    def _is_answered(self, system: System, example: Example) -> bool:
        return self.keys is not None and self.keys.are_kept(self.journal, system, example)

    def plan(self, corpus: Corpus, asked: Asked, check: ExampleCheck) -> Planned:
        """The examples without clips that cannot be used; those are counted.

        Raises:
            CorpusError: If no task is left.
        """
        plan, unread = [], corpus.skipped.get(self.settings.split, {})
        for task, rendered in asked:
            examples, left_out = rendered.examples, rendered.left_out
            reasons = [check(example) for example in examples]
            usable = [example for example, reason in zip(examples, reasons, strict=True) if reason is None]
            skipped = Counter(reason for reason in reasons if reason)
            if too_bad := why_too_bad(len(examples), skipped):
                self._leave_out(task, too_bad)
                continue
            skipped[UNREADABLE] += len(unread)
            if left_out.refused:
                skipped[UNUSABLE] += len(left_out.refused)
                self.notes.append(f"{task.name}: not asked: {left_out.refused_told}")
            self.reports.append(
                TaskReport(
                    task.name,
                    task.title,
                    task.version,
                    task.metrics,
                    len(usable),
                    dict(+skipped),
                    about_the_voice=task.is_about_the_voice,
                    not_asked=dict(left_out.lacking),
                )
            )
            plan.append((task, usable))
            self.notes += filter(None, [language_note(task, usable)])
        if not plan:
            reasons_told = "\n  ".join(f"{left.name}: {left.reason}" for left in self.not_measured)
            raise CorpusError(
                f"split '{self.settings.split}' of corpus '{corpus.name}': no task can be measured; mend the corpus "
                f"or name others with --tasks\n  {reasons_told}"
            )
        self.notes += not_asked_notes(self.reports, len(corpus.utterances(self.settings.split)))
        self.notes += filter(None, [unread_note(unread)])
        return plan

    def recall(self, parts: Parts, cells: Sequence[Cell]) -> None:
        """Gives the systems the transcripts that their kept answers stood on, and notes what is kept."""
        if self.keys is None or not self.journal.num_found:
            return
        for _, examples, system in cells:
            for example in examples:
                kept = self.journal.get(self.keys(system, example))
                if kept and kept.answer.transcript is not None:
                    known = parts.transcripts.setdefault(getattr(system, "kind", system.name), {})
                    known[example.utterance.id] = kept.answer.transcript
        self.notes.append(self.journal.note)

    def measurable(self, cells: Sequence[Cell]) -> list[Cell]:
        """The tasks with the systems that can answer them; what others lack is noted."""
        able = []
        for task, examples, system in cells:
            lack = system.missing(examples)
            if lack is None:
                able.append((task, examples, system))
            elif lack != OPEN_SET:
                self.notes.append(f"{task.name} by {system.name}: not measured: {lack}")
        self.parts = len(able)
        return able

    @contextmanager
    def _timed(self, task: Task, system: System, num_answers: int) -> Iterator[Callable[[int], None]]:
        """Gives what to tell of answers made or found."""
        self.part, done, started = self.part + 1, 0, time.perf_counter()
        what = f"{task.name} · {system.name} (part {self.part} of {self.parts})"

        def progress(count: int) -> None:
            nonlocal done
            done += count
            self.watch(done, num_answers, what)

        progress(0)
        yield progress
        self.timings.append(Timing(task.name, system.name, round(time.perf_counter() - started, 3), num_answers))

    def measure(self, task: Task, examples: Sequence[Example], system: System) -> None:
        """Lets one system answer one task, and scores it."""
        with self._timed(task, system, len(examples)) as progress:
            if self.keys is None:
                answers, before = system.answer(examples, progress), 0.0
            else:
                how = progress, self.at_once
                answers, before = answer_kept(self.journal, self.keys, system, examples, *how)
        self.timings[-1] = replace(self.timings[-1], seconds=round(self.timings[-1].seconds + before, 3))
        predictions = [task.parse(made.text, ex.choices) for made, ex in zip(answers, examples, strict=True)]
        self._score(task, system.name, examples, predictions)
        self._count_cut(task, system.name, answers)
        self._confuse(task, system.name, examples, predictions)
        self._record(task, system.name, examples, answers, predictions)

    def _score(self, task: Task, system: str, examples: Sequence[Example], predictions: Sequence[Any]) -> None:
        for part, rows in slices(examples).items():
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

    def _count_cut(self, task: Task, system: str, answers: Sequence[Answer]) -> None:
        """What did not come to its own end, as a score of its own and, if there is any, a note."""
        endings = [made.ended for made in answers]
        settings = self.settings
        interval = bootstrap("cut_rate", endings, endings, num_samples=settings.num_resamples, seed=settings.seed)
        self.scores.append(Score(task.name, system, WHOLE, "cut_rate", *interval, len(answers)))
        cut = Counter(ended for ended in endings if ended != "end")
        if cut:
            reasons = ", ".join(f"{count} {WHY_CUT[ended]}" for ended, count in cut.items())
            self.notes.append(f"{task.name} by {system}: {cut.total()} of {len(answers)} answers are cut: {reasons}")

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
        rows = zip(examples, answers, predictions, alone, languages, strict=True)
        for example, made, prediction, score, language in rows:
            self.records.append(
                AnswerRecord(
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
            not_measured=self.not_measured,
        )


def _ids(normalizers: str) -> list[str]:
    """The ids in `Score.normalizer`, without their counts."""
    return [part.split()[0] for part in normalizers.split(", ") if part]
