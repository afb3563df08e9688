"""The runner: tasks times systems on one split of a corpus, to numbers with intervals and every
answer kept.
"""

from __future__ import annotations

import datetime
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
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
from speechverse.evaluation.few_choices import with_few_choices
from speechverse.evaluation.journal import AnswerKeys, Journal, answer_kept, answers_kept, at_once
from speechverse.evaluation.provenance import describe_split
from speechverse.evaluation.results import NotMeasured, Results, TaskReport, Timing, save_results
from speechverse.evaluation.scoring import Scored, score_answers
from speechverse.evaluation.systems import (
    OPEN_SET,
    Parts,
    System,
    WithoutWords,
    check_systems,
    make_systems,
)
from speechverse.metrics import get_metric
from speechverse.protocols import Model, Processor
from speechverse.tasks import Task, get_task, task_names
from speechverse.types import Example

TRAINING_EXAMPLES = 2000

Asked = list[tuple[Task, Rendered]]
"""What a split is asked, task by task."""

Cell = tuple[Task, list[Example], System]
"""What one system is asked of one task."""


@dataclass(frozen=True, slots=True)
class EvaluationSettings:
    """What is evaluated, and how.

    Attributes:
        tasks: Names of tasks; `all` is every task the split has labels for.
        systems: Names of systems.
        limit: Utterances a task, chosen by hash; None takes all.
        wording: Whether to ask in instructions seen in training or held out from it.
        seed: Of the choice of utterances, of instructions and of the bootstrap.
        num_resamples: Bootstrap resamples under each interval.
        decoding: How all systems decode.
        choices_per_prompt: Labels that a closed task with more of them lists, the right one and
            others drawn anew for each clip; None lists all, where they are at most 16.
    """

    split: str = "test"
    tasks: tuple[str, ...] | Literal["all"] = "all"
    systems: tuple[str, ...] = (
        "speechverse",
        "cascade-ctc",
        "cascade",
        "oracle",
        "log-mel",
        "majority",
    )
    limit: int | None = 300
    wording: Literal["seen", "held_out"] = "seen"
    seed: int = 0
    num_resamples: int = 1000
    decoding: DecodingOptions = field(default_factory=DecodingOptions)
    choices_per_prompt: int | None = None

    def __post_init__(self) -> None:
        if self.limit is not None and self.limit < 1:
            raise UserError(
                f"the limit is {self.limit}; it must be at least 1 (leave it out to take"
                " everything)"
            )
        if self.choices_per_prompt is not None and self.choices_per_prompt < 2:
            raise UserError(
                f"{self.choices_per_prompt} choices leave nothing to choose from; list at least 2"
            )
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
        features: Folder for what the encoder hears, once for all tasks and systems, in its own
            precision; what is there already is not heard again. With None each clip is heard anew
            for every answer.
        recogniser: The CTC recogniser of the encoder, for `cascade-ctc` (see
            `provenance.find_recogniser`).
        whisper: Whisper with its decoder, for `cascade-whisper` (see `provenance.find_whisper`).
        reader_lora: Folder of a LoRA that reads transcripts, for the cascades that are tuned.
        about_model: What the results say of the model (see `provenance.describe`).
        watch: Told of progress.
        journal: Where answers are kept as they come; by default in `output`, until the results are
            written.

    Raises:
        UserError: For an unknown task, system or split, a split that no task can be measured on, or
            an output folder that another run evaluates into.
        CacheError: If `features` holds another encoder's outputs, or cannot be written to.
    """
    with nullcontext(journal) if journal is not None else answers_kept(output) as kept:
        parts = Parts(
            model,
            processor,
            settings.decoding,
            training_examples=_training_examples(corpus, settings),
            recogniser=recogniser,
            whisper=whisper,
            reader_lora=reader_lora,
        )
        if features is not None:
            parts.hear = partial(hear, model, processor, folder=features, watch=watch)
        keys = AnswerKeys.of(model, about_model or {}, settings.decoding) if kept.path else None
        run = _Run(corpus, settings, parts, watch, kept, keys)
        run.measure_all()
        results = run.results(dict(about_model or {}))
        if output is not None:
            save_results(
                output, results, [record.written_from(output) for record in run.scored.records]
            )
        return results


def _training_examples(
    corpus: Corpus, settings: EvaluationSettings
) -> Callable[[str], Sequence[Example]]:
    """Examples of the training split, for the systems that know nothing but its answers."""

    @lru_cache
    def of(task: str) -> tuple[Example, ...]:
        if "train" not in corpus.splits:
            return ()
        how = {"limit": TRAINING_EXAMPLES, "seed": settings.seed}
        try:
            return tuple(render_for_evaluation(corpus, "train", task, wording="seen", **how))
        except CorpusError:  # the training split need not have every label that the test split has
            return ()

    return of


@dataclass
class _Run:
    """One evaluation on its way: what has been found so far."""

    corpus: Corpus
    settings: EvaluationSettings
    parts: Parts
    watch: Watch
    journal: Journal
    keys: AnswerKeys | None
    systems: list[System] = field(init=False)
    reports: list[TaskReport] = field(default_factory=list)
    not_measured: list[NotMeasured] = field(default_factory=list)
    timings: list[Timing] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    scored: Scored = field(default_factory=Scored)
    hearing_seconds: float | None = None

    def __post_init__(self) -> None:
        self.systems = make_systems(self.settings.systems, self.parts)

    def measure_all(self) -> None:
        """Asks, hears, answers and scores.

        Raises:
            CorpusError: If no task can be measured.
        """
        asked = self._ask()
        self._hear(asked)
        cells = [
            (task, examples, system)
            for task, examples in self._usable(asked)
            for system in self.systems
        ]
        self._recall(cells)
        able = self._able(cells)
        for number, cell in enumerate(able, start=1):
            self._measure(*cell, f"(part {number} of {len(able)})")
        if "train" not in self.corpus.splits:
            self.notes += [
                f"{system.name}: the corpus has no training split, so {system.without_training}"
                for system in self.systems
                if isinstance(system, WithoutWords) and system.without_training
            ]
        self.notes += self.parts.notes

    def _ask(self) -> Asked:
        """The examples of each task that can be asked."""
        settings, corpus, asked = self.settings, self.corpus, Asked()
        how: dict[str, Any] = {"wording": settings.wording, "seed": settings.seed}
        names = (
            task_names(corpus.utterances(settings.split))
            if settings.tasks == "all"
            else settings.tasks
        )
        for task in map(get_task, dict.fromkeys(names)):
            try:
                rendered = render_split(corpus, settings.split, task, limit=settings.limit, **how)
                if count := settings.choices_per_prompt:
                    few = with_few_choices(
                        task, rendered.examples, corpus, settings.split, count, **how
                    )
                    rendered = Rendered(few, rendered.left_out)
            except (CorpusError, TaskError) as error:
                self._leave_out(task, getattr(error, "reason", str(error)))
                continue
            asked.append((task, rendered))
        return asked

    def _leave_out(self, task: Task, reason: str) -> None:
        self.not_measured.append(NotMeasured(task.name, task.title, reason))

    def _hear(self, asked: Asked) -> None:
        """Puts what a listening system has not answered yet into the cache, if one is kept."""
        listening = [system for system in self.systems if system.hears]
        pending = [
            example
            for _, rendered in asked
            for example in rendered.examples
            if not all(self._is_answered(system, example) for system in listening)
        ]
        if self.parts.hear is not None and pending:
            started = time.perf_counter()
            self.parts.cache = self.parts.hear(pending)
            self.hearing_seconds = round(time.perf_counter() - started, 3)

    def _is_answered(self, system: System, example: Example) -> bool:
        return self.keys is not None and self.keys.are_kept(self.journal, system, example)

    def _usable(self, asked: Asked) -> Iterator[tuple[Task, list[Example]]]:
        """The tasks without clips that cannot be used; those are counted."""
        check, found = ExampleCheck(self.parts.processor, self.parts.cache), []
        unread = self.corpus.skipped.get(self.settings.split, {})
        for task, rendered in asked:
            reasons = [check(example) for example in rendered.examples]
            usable = [
                example
                for example, reason in zip(rendered.examples, reasons, strict=True)
                if reason is None
            ]
            skipped = Counter(reason for reason in reasons if reason)
            if too_bad := why_too_bad(len(reasons), skipped):
                self._leave_out(task, too_bad)
                continue
            self._report(task, rendered, usable, skipped + Counter({UNREADABLE: len(unread)}))
            found.append((task, usable))
        if not found:
            reasons_told = "\n  ".join(f"{left.name}: {left.reason}" for left in self.not_measured)
            raise CorpusError(
                f"split '{self.settings.split}' of corpus '{self.corpus.name}': no task can be"
                f" measured; mend the corpus or name others with --tasks\n  {reasons_told}"
            )
        self.notes += not_asked_notes(
            self.reports, len(self.corpus.utterances(self.settings.split))
        )
        spelling = (
            unspelt_note(self.parts.processor.text, task.name, some) for task, some in found
        )
        self.notes += filter(None, [unread_note(unread), *spelling])
        return iter(found)

    def _report(
        self, task: Task, rendered: Rendered, usable: list[Example], skipped: Counter[str]
    ) -> None:
        left_out = rendered.left_out
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
                dict(skipped),
                about_the_voice=task.is_about_the_voice,
                not_asked=dict(left_out.lacking),
            )
        )
        self.notes += filter(None, [language_note(task, usable)])

    def _recall(self, cells: Sequence[Cell]) -> None:
        """Gives the systems the transcripts that their kept answers stood on, and notes what is
        kept.
        """
        if self.keys is None or not self.journal.num_found:
            return
        for _, examples, system in cells:
            for example in examples:
                kept = self.journal.get(self.keys(system, example))
                if kept and kept.answer.transcript is not None:
                    known = self.parts.transcripts.setdefault(
                        getattr(system, "kind", system.name), {}
                    )
                    known[example.utterance.id] = kept.answer.transcript
        self.notes.append(self.journal.note)

    def _able(self, cells: Sequence[Cell]) -> list[Cell]:
        """The tasks with the systems that can answer them; what others lack is noted."""
        lacks = [system.missing(examples) for _, examples, system in cells]
        for (task, _, system), lack in zip(cells, lacks, strict=True):
            if lack is not None and lack != OPEN_SET:
                self.notes.append(f"{task.name} by {system.name}: not measured: {lack}")
        return [cell for cell, lack in zip(cells, lacks, strict=True) if lack is None]

    def _measure(self, task: Task, examples: Sequence[Example], system: System, part: str) -> None:
        """Lets one system answer one task, and scores it."""
        done, started, before = 0, time.perf_counter(), 0.0

        def progress(count: int) -> None:
            nonlocal done
            done += count
            self.watch(done, len(examples), f"{task.name} · {system.name} {part}")

        progress(0)
        if self.keys is None:
            answers = system.answer(examples, progress)
        else:
            size = at_once(self.parts.model, self.settings.decoding)
            answers, before = answer_kept(self.journal, self.keys, system, examples, progress, size)
        seconds = round(time.perf_counter() - started + before, 3)
        self.timings.append(Timing(task.name, system.name, seconds, len(examples)))
        score_answers(self.scored, task, system.name, examples, answers, self.settings)

    def results(self, about_model: Mapping[str, Any]) -> Results:
        """Everything found, with what it takes to find it again."""
        metrics = {name for report in self.reports for name in report.metrics}
        return Results(
            model=about_model,
            corpus=describe_split(self.corpus, self.settings.split),
            settings={**asdict(self.settings), "decoding": self.settings.decoding.model_dump()},
            systems={system.name: system.title for system in self.systems},
            tasks=self.reports,
            scores=self.scored.scores,
            timings=self.timings,
            hearing_seconds=self.hearing_seconds,
            confusions=self.scored.confusions,
            notes=[*self.notes, *self.scored.notes],
            normalizer=", ".join(
                sorted({name for score in self.scored.scores for name in _ids(score.normalizer)})
            ),
            signatures={
                name: text for name in sorted(metrics) if (text := get_metric(name).signature())
            },
            created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            version=__version__,
            not_measured=self.not_measured,
        )


def _ids(normalizers: str) -> list[str]:
    """The ids in `Score.normalizer`, without their counts."""
    return [part.split()[0] for part in normalizers.split(", ") if part]
