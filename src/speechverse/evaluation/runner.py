"""The runner: tasks times systems on one split of a corpus, to numbers with intervals and every
answer kept.
"""

from __future__ import annotations

import datetime
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Literal

from speechverse import __version__
from speechverse.data import Corpus, Rendered, render_for_evaluation, render_split
from speechverse.data.applicable import UNUSABLE
from speechverse.data.quiet_ends import WithoutQuietEnds
from speechverse.decoding import DecodingOptions
from speechverse.encoders.ctc import CtcRecogniser
from speechverse.encoders.whisper_text import WhisperRecogniser
from speechverse.errors import CorpusError, TaskError, UserError
from speechverse.evaluation.comparison import paired_with
from speechverse.evaluation.control import OtherClip, plain
from speechverse.evaluation.encoded_clips import (
    UNREADABLE,
    ExampleCheck,
    encode_clips,
    language_note,
    not_asked_notes,
    unspelt_note,
    why_too_bad,
)
from speechverse.evaluation.few_choices import with_few_choices
from speechverse.evaluation.journal import (
    AnswerKeys,
    Journal,
    Tell,
    answer_or_recall,
    at_once,
    keep_answers,
)
from speechverse.evaluation.parts import OPEN_SET, Parts, System, check_systems, make_systems
from speechverse.evaluation.provenance import describe_split
from speechverse.evaluation.results import (
    OWN,
    NotMeasured,
    Results,
    TaskReport,
    Timing,
    save_results,
)
from speechverse.evaluation.scoring import Scored, score_answers
from speechverse.evaluation.without_words import WithoutWords
from speechverse.metrics import get_metric
from speechverse.progress import Watch, watch_nothing
from speechverse.protocols import Model, Processor
from speechverse.tally import describe_bad_clips
from speechverse.tasks import Task, get_task, task_names
from speechverse.tasks.task import DESCRIBED
from speechverse.types import Example, Seconds

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
        limit: Utterances a task, chosen by hash; None takes all.
        wording: Whether to ask in instructions seen in training or held out from it.
        seed: Of the choice of utterances, of instructions and of the bootstrap.
        decoding: How all systems decode.
        choices_per_prompt: Labels that a closed task with more of them lists, the right one and
            others drawn anew for each clip; None lists all, where they are at most 16.
        descriptions: Whether listed labels carry their descriptions, all else being equal; None
            draws it.
        thresholds: Of answers chosen by scoring, `task/system` → the probability under which none
            is given (see `calibration.thresholds_of`).
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
    descriptions: bool | None = None
    thresholds: Mapping[str, float | None] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """As results hold them."""
        return {**asdict(self), "decoding": self.decoding.model_dump()}

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
    watch: Watch = watch_nothing,
    journal: Journal | None = None,
    tell: Tell = lambda line: None,
) -> Results:
    """Evaluates a model and the systems beside it.

    A task that cannot be measured on this split is left out, with its reason in the results.

    Args:
        output: Folder for `results.json` and `answers.jsonl`; None writes nothing.
        features: Folder for encoder outputs, made once for all tasks and systems, in the encoder's
            own precision; what is there already is not made again. With None each clip is encoded
            anew for every answer.
        recogniser: The encoder's CTC recogniser, for `cascade-ctc`; None loads it where needed.
        whisper: Whisper with its decoder, for `cascade-whisper`; None loads it where needed.
        reader_lora: Folder of a LoRA that reads transcripts, for the cascades that are tuned.
        about_model: What the results say of the model (see `provenance.describe`).
        journal: Where answers are kept as they come; by default in `output`, until the results are
            written.
        tell: Told what a system that costs something will cost, before it is asked.

    Raises:
        UserError: For an unknown task, system or split, a split that no task can be measured on, or
            an output folder that another run evaluates into.
        CacheError: If `features` holds another encoder's outputs, or cannot be written to.
    """
    with nullcontext(journal) if journal is not None else keep_answers(output) as kept:
        parts = Parts(
            model,
            processor,
            settings.decoding,
            training_examples=_training_examples(corpus, settings, processor.config.quiet_end),
            recogniser=recogniser,
            whisper=whisper,
            reader_lora=reader_lora,
            watch=watch,
        )
        if features is not None:
            parts.encode = partial(encode_clips, model, processor, folder=features, watch=watch)
        keys = AnswerKeys.of(model, about_model or {}, settings.decoding) if kept.path else None
        run = _Run(corpus, settings, parts, watch, kept, keys)
        run.measure_all(tell)
        results = run.results(dict(about_model or {}))
        if output is not None:
            save_results(output, results, run.scored.records)
        return results


def _training_examples(
    corpus: Corpus, settings: EvaluationSettings, quiet_end: Seconds | None
) -> Callable[[str], Sequence[Example]]:
    """Examples of the training split, for the systems that know nothing but its answers."""
    as_heard = WithoutQuietEnds(quiet_end)

    @lru_cache
    def of(task: str) -> tuple[Example, ...]:
        if "train" not in corpus.splits:
            return ()
        how = {"limit": TRAINING_EXAMPLES, "seed": settings.seed}
        try:
            made = render_for_evaluation(corpus, "train", task, wording="seen", **how)
            return tuple(replace(one, utterance=as_heard(one.utterance)) for one in made)
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
    hearing: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.systems = make_systems(self.settings.systems, self.parts)

    def measure_all(self, tell: Tell) -> None:
        """Asks, hears, answers and scores.

        Raises:
            CorpusError: If no task can be measured.
        """
        usable = self._usable_examples(self._ask())
        cells = [(task, some, system) for task, some in usable for system in self.systems]
        able = self._answerable(cells)
        self._recall(able)
        self._encode(able)
        self._tell_costs(able, tell)
        for number, cell in enumerate(able, start=1):
            self._measure(*cell, f"(part {number} of {len(able)})")
        self.notes += self._untrained(able)
        self.notes += self.parts.notes

    def _untrained(self, cells: Sequence[Cell]) -> list[str]:
        """Which systems had to take the test split for want of training examples."""
        notes = dict[str, None]()
        for task, _, system in cells:
            if not isinstance(system, WithoutWords) or not system.without_training:
                continue
            if "train" not in self.corpus.splits:
                why = "the corpus has no training split"
            elif not self.parts.training_examples(task.name):
                why = f"the training split has nothing for {task.name}"
            else:
                continue
            notes[f"{system.name}: {why}, so {system.without_training}"] = None
        return list(notes)

    def _ask(self) -> Asked:
        """The examples of each task that can be asked."""
        settings, corpus, asked = self.settings, self.corpus, Asked()
        described = DESCRIBED if settings.descriptions is None else float(settings.descriptions)
        how: dict[str, Any] = {"wording": settings.wording, "seed": settings.seed}
        how["describe"] = described
        names = (
            task_names(corpus.utterances(settings.split))
            if settings.tasks == "all"
            else settings.tasks
        )
        for task in {task.name: task for task in map(get_task, names)}.values():
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

    def _encode(self, cells: Sequence[Cell]) -> None:
        """Puts what a listening system has not answered yet into the cache, if one is kept."""
        pending = [
            example
            for _, examples, system in cells
            if system.hears
            for example in self._to_hear(system, examples)
        ]
        if self.parts.encode is not None and pending:
            started = time.perf_counter()
            self.parts.cache = self.parts.encode(pending)
            self.hearing_seconds = round(time.perf_counter() - started, 3)
            self.hearing = [system.name for system in self.systems if system.hears]

    def _to_hear(self, system: System, examples: Sequence[Example]) -> list[Example]:
        """What it has not answered yet; of a control with the clips that it hears instead."""
        left = [example for example in examples if not self._is_answered(system, example)]
        return system.swapped(left) if isinstance(system, OtherClip) else left

    def _is_answered(self, system: System, example: Example) -> bool:
        return self.keys is not None and self.keys.are_kept(self.journal, system, example)

    def _usable_examples(self, asked: Asked) -> list[tuple[Task, list[Example]]]:
        """The tasks without clips that cannot be used; those are counted."""
        check, found = ExampleCheck(self.parts.processor), []
        as_heard = WithoutQuietEnds(self.parts.processor.config.quiet_end)
        split, clips = self.settings.split, self.corpus.utterances(self.settings.split)
        unread = self.corpus.skipped.get(split, {})
        for task, rendered in asked:
            examples = [
                replace(example, utterance=as_heard(example.utterance))
                for example in rendered.examples
            ]
            reasons = [check(example) for example in examples]
            pairs = list(zip(examples, reasons, strict=True))
            usable = [example for example, reason in pairs if reason is None]
            skipped = Counter(reason for reason in reasons if reason)
            clips_asked = (example.utterance.id for example in rendered.examples)
            bad = {clip: check.unreadable[clip] for clip in clips_asked if clip in check.unreadable}
            if too_bad := why_too_bad(len(reasons), skipped, bad):
                self._leave_out(task, too_bad)
                continue
            self._report(task, rendered, usable, skipped + Counter({UNREADABLE: len(unread)}))
            found.append((task, usable))
        if not found:
            reasons_told = "\n  ".join(f"{left.name}: {left.reason}" for left in self.not_measured)
            raise CorpusError(
                f"split '{split}' of corpus '{self.corpus.name}': no task can be measured; mend the"
                f" corpus or name others with --tasks\n  {reasons_told}"
            )
        self.notes += not_asked_notes(self.reports, len(clips))
        if unread:
            self.notes.append(
                describe_bad_clips(unread, len(clips) + len(unread), f"split '{split}'")
            )
        spelling = (unspelt_note(self.parts.processor.text, t.name, some) for t, some in found)
        self.notes += filter(None, spelling)
        return found

    def _report(
        self, task: Task, rendered: Rendered, usable: list[Example], skipped: Counter[str]
    ) -> None:
        left_out = rendered.left_out
        if left_out.refused:
            skipped[UNUSABLE] += len(left_out.refused)
            self.notes.append(f"{task.name}: not asked: {left_out.describe_refused()}")
        references = [example.reference for example in usable]
        classes = {name: get_metric(name).classes(references) for name in task.metrics}
        report = TaskReport(
            task.name,
            task.title,
            task.version,
            task.metrics,
            len(usable),
            dict(skipped),
            about_the_voice=task.is_about_the_voice,
            not_asked=dict(left_out.lacking),
            classes={name: names for name, names in classes.items() if names},
        )
        self.reports.append(report)
        self.notes += filter(None, [language_note(task, usable)])

    def _recall(self, cells: Sequence[Cell]) -> None:
        """Gives the systems the transcripts that their kept answers stood on."""
        if self.keys is None or not self.journal.found:
            return
        for _, examples, system in cells:
            for example in examples:
                kept = self.journal.get(self.keys(system, example))
                alone = not example.utterance.beside  # several texts cannot be told apart again
                if kept and kept.answer.transcript is not None and alone:
                    kind = getattr(system, "kind", system.name)
                    known = self.parts.transcripts.setdefault(kind, {})
                    known[example.utterance.id] = kept.answer.transcript
        self.notes.append(self.journal.note)

    def _answerable(self, cells: Sequence[Cell]) -> list[Cell]:
        """The tasks with the systems that can answer them; what others lack is noted."""
        lacks = [system.missing(examples) for _, examples, system in cells]
        for (task, _, system), lack in zip(cells, lacks, strict=True):
            if lack is not None and lack != OPEN_SET:
                self.notes.append(f"{task.name} by {system.name}: not measured: {lack}")
        return [cell for cell, lack in zip(cells, lacks, strict=True) if lack is None]

    def _tell_costs(self, cells: Sequence[Cell], tell: Tell) -> None:
        for system in self.systems:
            if (cost := getattr(plain(system), "cost", None)) is not None:
                cells_of = [examples for _, examples, one in cells if one is system]
                heard = [example for some in cells_of for example in self._to_hear(system, some)]
                if heard:
                    tell(f"{system.name}: {cost(heard)}")

    def _measure(self, task: Task, examples: Sequence[Example], system: System, part: str) -> None:
        """Lets one system answer one task, and scores it."""
        progress = self.watch(f"{task.name} · {system.name} {part}", len(examples))
        clock, before = self.parts.clock, 0.0
        started = clock()
        if self.keys is None:
            answers = system.answer(examples, progress)
        else:
            size = at_once(self.parts.model, self.settings.decoding)
            answers, before = answer_or_recall(
                self.journal, self.keys, system, examples, progress, size, clock
            )
        seconds = round(clock() - started + before, 3)
        tokens = sum(len(self.parts.processor.encode_target(made.text)) for made in answers)
        self.timings.append(Timing(task.name, system.name, seconds, len(examples), tokens))
        score_answers(self.scored, task, system.name, examples, answers, self.settings)

    def results(self, about_model: Mapping[str, Any]) -> Results:
        """Everything found, with what it takes to find it again."""
        metrics = {name for report in self.reports for name in report.metrics}
        parts = (part for s in self.scored.scores for part in s.normalizer.split(", ") if part)
        normalizers = {part.split()[0] for part in parts}  # without their counts
        found = Results(
            model=about_model,
            corpus=describe_split(self.corpus, self.settings.split),
            settings=self.settings.as_dict(),
            systems={system.name: system.title for system in self.systems},
            tasks=self.reports,
            scores=self.scored.scores,
            timings=self.timings,
            hearing_seconds=self.hearing_seconds,
            hearing=self.hearing,
            confusions=self.scored.confusions,
            notes=[*self.notes, *self.scored.notes],
            normalizer=", ".join(sorted(normalizers)),
            signatures={
                name: text for name in sorted(metrics) if (text := get_metric(name).signature())
            },
            created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            version=__version__,
            not_measured=self.not_measured,
            calibrations=self.scored.calibrations,
        )
        own = OWN if OWN in found.systems else next(iter(found.systems))
        how = self.settings.num_resamples, self.settings.seed
        return replace(found, paired=[*paired_with(own, found, self.scored.records, *how)])
