"""The Task record: everything training, evaluation and serving know of a task, in
one frozen value.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from speechverse.errors import TaskError, unknown_name
from speechverse.metrics import METRICS, get_metric, score
from speechverse.metrics.types import UNPARSED, Metric
from speechverse.tasks.hints import draw_hints, with_hints
from speechverse.tasks.labels import LabelSet
from speechverse.tasks.parsing import Parser, Prediction, parse_text
from speechverse.tasks.prompts import PromptSet, Wording, fill, placeholders
from speechverse.tasks.renaming import rename_labels
from speechverse.types import Example, Utterance

MAX_LISTED = 16
"""The most labels an instruction lists."""

DESCRIBED = 0.25
"""The share of label lists that carry descriptions, where nothing else is said."""

EMPTY_TEXT = "its text is empty, so nobody speaks"


@dataclass(frozen=True, slots=True)
class OneOf:
    """The answer is one of these texts and nothing else."""

    choices: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.choices:
            raise TaskError("there is nothing to choose from; name at least one answer")


@dataclass(frozen=True, slots=True)
class SlotList:
    """The answer is `none`, or `name = value;` any number of times: names from this list, values
    free.
    """

    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Matches:
    """The answer matches this regular expression from beginning to end."""

    regex: str


ConstraintSpec = OneOf | SlotList | Matches


@dataclass(frozen=True, slots=True)
class Ask:
    """How to ask: everything an example may depend on besides its utterance.

    Attributes:
        rng: Source of every draw; seed it with the run's seed, the pass and the utterance's id.
        wording: Whether to ask in seen or in held-out words.
        labels: The corpus's label inventory, by field; where it has not the task's field, its own
            labels are taken.
        training: Whether long label sets are listed in part (with the right ones), instead of not
            at all.
        max_listed: The most labels an instruction lists.
        describe: Probability that listed labels carry their descriptions.
        vocabulary: Keywords of the corpus for questions about words that are not said. Pass them as
            often as they
            occur: drawn evenly, rare words would give the answer "no" away. A tuple, for it is read
                only once.
        texts: What is said in the corpus, for questions about any words. A tuple, for it is read
            only once.
        hinted: Probability that in training an instruction of a task that takes hints has some.
        renamed: Probability that in training the labels of a closed task are listed, and answered,
            under other names.
    """

    rng: random.Random
    wording: Wording = "seen"
    labels: Mapping[str, LabelSet] = field(default_factory=dict)
    training: bool = True
    max_listed: int = MAX_LISTED
    describe: float = DESCRIBED
    vocabulary: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()
    renamed: float = 0.0
    hinted: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Task:
    """A task: what is asked, what should be answered, and how answers are read and scored.

    Attributes:
        name: Short name, as in recipes and results.
        title: Name for people.
        group: "asr", "slu" (spoken language understanding), "psp" (paralinguistics) or "joint"; a
            user's task may have its own.
        prompts: The instructions.
        metrics: Names of metrics, the headline first; a `Metric` of one's own may stand there too,
            and is then known by its name, which takes its place.
        version: Rises when the meaning of results changes; travels with every result.
        requires: What an utterance must have: "text" or fields of its labels.
        target: The utterance's right answer as text; a subclass may override `answer` instead.
        parser: Reads an answer's text.
        labels: The task's own label set, where it is closed.
        label_field: The field of the corpus's label inventory that replaces `labels`, if there is
            one.
        constraint: What kind of constraint the label set puts on decoding.
        takes_hints: Whether words that may be heard help (see `hints`).
        takes_several: Whether an instruction may be about several clips, each at its `<|audio|>`.
        speech_only: Whether the task makes no sense for clips without speech.
        baseline: The variant that evaluation compares the others with, clip by clip; None compares
            none.
    """

    name: str
    title: str
    group: str
    prompts: PromptSet
    metrics: tuple[Any, ...]
    version: int = 1
    requires: tuple[str, ...] = ()
    target: Callable[[Utterance], str] | None = None
    parser: Parser = parse_text
    labels: LabelSet | None = None
    label_field: str | None = None
    constraint: type[OneOf] | type[SlotList] | None = None
    speech_only: bool = True
    takes_hints: bool = False
    takes_several: bool = False
    baseline: str | None = None

    def __post_init__(self) -> None:
        if not self.metrics:
            raise TaskError(
                f"task '{self.name}' has no metrics; name at least one, the headline first"
            )
        known = (
            METRICS.add(given) if isinstance(given, Metric) else get_metric(given)
            for given in self.metrics
        )
        object.__setattr__(self, "metrics", tuple(metric.name for metric in known))
        if self.target is None and type(self).answer is Task.answer:
            raise TaskError(
                f"task '{self.name}' has no target; give target=..., a function from utterance to"
                " text"
            )
        if self.constraint is not None and self.labels is None and self.label_field is None:
            raise TaskError(
                f"task '{self.name}' has a constraint but no labels; give labels=... or"
                " label_field=..."
            )

    @property
    def is_about_the_voice(self) -> bool:
        """Whether the answer lies in how something is said, so that no transcript tells it."""
        return self.group == "psp" and self.speech_only

    # Which utterances

    def missing(self, utterance: Utterance) -> str | None:
        """What the utterance lacks for this task, in words, or None if it has everything."""
        if utterance.beside and not self.takes_several:
            return "it has several clips, and the task asks about one"
        if self.speech_only and not has_speech(utterance):
            return (
                "it has no speech" if utterance.labels.get("is_speech") is not None else EMPTY_TEXT
            )
        for name in self.requires:
            if name == "text" and not (utterance.text or "").strip():
                return "it has no text" if utterance.text is None else EMPTY_TEXT
            if name != "text" and utterance.labels.get(name) is None:
                return f"it has no label '{name}'"
        return None

    def applies_to(self, utterance: Utterance) -> bool:
        """Whether the task can be asked of this utterance."""
        return self.missing(utterance) is None

    def variants(self, utterance: Utterance) -> tuple[str, ...]:
        """The questions this task can ask of the utterance, scored apart; most have
        one, named "".
        """
        return ("",)

    def faults(self, utterance: Utterance, ask: Ask) -> dict[str, str]:
        """Questions that an utterance's labels cannot answer although they are there: variant to
        reason.

        What it lacks altogether is for `missing` to say.
        """
        found = {}
        for variant in self.variants(utterance):
            try:
                labels = self.label_set(ask.labels)
                fields = self.fields(utterance, ask, variant)
                self._right_answer(utterance, fields, variant, labels.names if labels else None)
            except TaskError as error:
                found[variant] = str(error)
        return found

    # What is asked and answered

    def fields(self, utterance: Utterance, ask: Ask, variant: str) -> Mapping[str, str]:
        """Values of the placeholders in the instruction, other than `{labels}`: the texts among the
        labels required.
        """
        required = {name: utterance.labels.get(name) for name in self.requires}
        return {name: value for name, value in required.items() if isinstance(value, str)}

    def answer(self, utterance: Utterance, fields: Mapping[str, str], variant: str) -> str:
        """The right answer to one question about the utterance."""
        assert self.target is not None
        return self.target(utterance)

    def render(
        self,
        utterance: Utterance,
        ask: Ask,
        variant: str | None = None,
        template: str | None = None,
    ) -> Example:
        """Ask one question of an utterance.

        Args:
            variant: Which of the task's questions; None draws one.
            template: The instruction's template; None draws one of the wanted wording.

        Raises:
            TaskError: If the utterance lacks what the task needs, or its label is none of the label
                set.
        """
        lack = self.missing(utterance)
        if lack:
            raise TaskError(
                f"task '{self.name}' cannot be asked of utterance '{utterance.id}': {lack}"
            )
        variant = ask.rng.choice(self.variants(utterance)) if variant is None else variant
        fields = self.fields(utterance, ask, variant)
        labels = self.label_set(ask.labels)
        choices = labels.names if labels else None
        target, reference = self._right_answer(utterance, fields, variant, choices)
        if labels is not None and template is None and self._renames(ask):
            labels, names = rename_labels(labels, ask.rng)
            template = ask.rng.choice(self._listing(ask))
            target = reference = names[target]
            choices = labels.names
        instruction = self._instruction(ask, fields, labels, reference, template)
        hintable = self.takes_hints and ask.training and ask.texts and ask.hinted
        if hintable and ask.rng.random() < ask.hinted:
            hints = draw_hints(ask.rng, utterance.text or "", ask.texts)
            instruction = with_hints(instruction, hints)
        example = Example(
            id="/".join(part for part in (utterance.id, self.name, variant) if part),
            utterance=utterance,
            task=self.name,
            instruction=instruction,
            target=target,
            reference=reference,
            choices=choices,
            group=variant,
            fields=fields,
        )
        return self.finished(example, ask)

    def finished(self, example: Example, ask: Ask) -> Example:
        """An example with what a task of another kind changes in it; by default nothing."""
        return example

    def _renames(self, ask: Ask) -> bool:
        """Whether to give the labels other names this once: they must be listed, for nothing else
        tells them.
        """
        wanted = (
            ask.training
            and self.constraint is OneOf
            and ask.renamed > 0
            and ask.rng.random() < ask.renamed
        )
        return wanted and bool(self._listing(ask))

    def _listing(self, ask: Ask) -> list[str]:
        return [
            wording
            for wording in self.prompts.wordings(ask.wording)
            if "labels" in placeholders(wording)
        ]

    @property
    def label_fields(self) -> tuple[str, ...]:
        """Fields of which a corpus without an inventory is asked for the names in use."""
        return (self.label_field,) if self.label_field and self.labels is None else ()

    def label_set(self, inventory: Mapping[str, LabelSet]) -> LabelSet | None:
        """The labels in force: the corpus's of the task's field, with the task's own descriptions
        where it has none.
        """
        found = inventory.get(self.label_field) if self.label_field else None
        return found.with_descriptions_of(self.labels) if found and found.names else self.labels

    def _right_answer(
        self,
        utterance: Utterance,
        fields: Mapping[str, str],
        variant: str,
        choices: tuple[str, ...] | None,
    ) -> tuple[str, Prediction]:
        target = self._checked_answer(utterance, fields, variant)
        reference = self.parse(target, choices)
        outside = choices and self.constraint and not names_in(reference) <= set(choices)
        if reference is UNPARSED or outside:
            allowed = f"; allowed: {', '.join(choices)}" if choices else ""
            raise TaskError(
                f"task '{self.name}' cannot read the right answer '{target}' of utterance"
                f" '{utterance.id}'{allowed}"
            )
        if self.constraint is OneOf and isinstance(reference, str):
            # as the list spells it, whatever case the corpus has: nothing else can be generated
            target = reference
        return target, reference

    def _checked_answer(self, utterance: Utterance, fields: Mapping[str, str], variant: str) -> str:
        """The right answer; a target of a user's own may raise anything at a label it did not
        expect.
        """
        try:
            target = self.answer(utterance, fields, variant)
        except TaskError:
            raise
        except Exception as error:
            kind = type(error).__name__
            raise TaskError(
                f"task '{self.name}' cannot use the labels of '{utterance.id}': {kind}: {error}"
            ) from error
        if not isinstance(target, str):
            raise TaskError(
                f"task '{self.name}' answers utterance '{utterance.id}' with {target!r}, which is"
                " no text"
            )
        return target

    def _instruction(
        self,
        ask: Ask,
        fields: Mapping[str, str],
        labels: LabelSet | None,
        reference: Prediction,
        template: str | None,
    ) -> str:
        listable = labels is not None and (ask.training or len(labels.names) <= ask.max_listed)
        if template is None:
            template = self._draw_template(ask, listable)
        values = dict(fields)
        if "labels" in placeholders(template):
            if labels is None:
                raise TaskError(
                    f"task '{self.name}' has no labels to list in '{template}'; give the corpus a"
                    " label inventory"
                )
            num = ask.max_listed if ask.training else len(labels.names)
            names = labels.draw(ask.rng, num, names_in(reference))
            values["labels"] = labels.listing(names, describe=ask.rng.random() < ask.describe)
        return self._fill(template, values)

    def _fill(self, template: str, values: Mapping[str, str]) -> str:
        for name in placeholders(template):
            if name not in values:
                known = {*values, "labels"}
                raise TaskError(
                    f"task '{self.name}', '{template}': {unknown_name('placeholder', name, known)}"
                )
        return fill(template, values)

    def _draw_template(self, ask: Ask, listable: bool) -> str:
        wordings = self.prompts.wordings(ask.wording)
        usable = [
            wording for wording in wordings if listable or "labels" not in placeholders(wording)
        ]
        if not usable:
            raise TaskError(
                f"every {ask.wording} instruction of task '{self.name}' lists the labels, but there"
                f" is no label set of at most {ask.max_listed}; add an instruction without"
                " {labels}"
            )
        return ask.rng.choice(usable)

    # How answers are read and scored

    def parse(self, text: str, choices: Sequence[str] | None = None) -> Prediction:
        """Read an answer.

        Args:
            choices: The example's choices; None takes the task's own labels, if it has any.
        """
        if choices is None and self.labels is not None:
            choices = self.labels.names
        return self.parser(text, choices)

    def constraint_for(self, choices: Sequence[str] | None) -> ConstraintSpec | None:
        """What decoding may produce for an example with these choices; None is anything."""
        return self.constraint(tuple(choices)) if self.constraint and choices else None

    @property
    def all_metrics(self) -> tuple[str, ...]:
        """The task's metrics and the share of answers that could not be read."""
        return (*self.metrics, "unparsed_rate")

    @property
    def part_metrics(self) -> tuple[str, ...]:
        """The metrics that parts of a test set (variants, strata) are scored with."""
        return self.metrics[:1]

    def language_of(self, example: Example) -> str | None:
        """The language the right answer is in, as a code, if known: that of the speech; error rates
        go by it.
        """
        return example.utterance.language

    def score(
        self,
        predictions: Sequence[Any],
        references: Sequence[Any],
        languages: Sequence[str | None] | None = None,
    ) -> dict[str, float]:
        """Values of all the task's metrics, by name; for `languages` see `metrics.score`."""
        return score(self.all_metrics, predictions, references, languages)


def has_speech(utterance: Utterance) -> bool:
    """Whether somebody speaks; where it is not labelled, an empty text means nobody does."""
    return bool(
        utterance.labels.get("is_speech", utterance.text is None or utterance.text.strip() != "")
    )


def names_in(reference: Prediction) -> set[str]:
    """The label names a right answer holds: itself, or the names of its slots."""
    if isinstance(reference, tuple):
        return {slot[0] for slot in reference}
    return {reference} if isinstance(reference, str) else set()
