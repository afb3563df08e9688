"""What of a split a task can be asked, and what it cannot, counted with its reasons."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from speechverse.data.corpus import Corpus
from speechverse.errors import CorpusError
from speechverse.seeding import rng_for
from speechverse.tasks import Ask, Task
from speechverse.types import Utterance


class Words(NamedTuple):
    """What is said in a split, as `Ask` takes it: its keywords, as often as they occur, and its
    texts.
    """

    vocabulary: tuple[str, ...]
    texts: tuple[str, ...]

    @classmethod
    def of(cls, corpus: Corpus, split: str) -> Words:
        return cls(corpus.keywords(split), corpus.texts(split))


class Refused(NamedTuple):
    """A question that a task cannot ask of a clip, although its label is there."""

    place: str
    reason: str


@dataclass
class LeftOut:
    """What of a split a task is not asked.

    Attributes:
        num_utterances: How many the split has.
        lacking: Clips without what the task asks for, by what they lack.
        refused: Questions whose label the task cannot use, by the clip's id and the variant.
    """

    num_utterances: int
    lacking: Counter[str] = field(default_factory=Counter)
    refused: dict[str, Refused] = field(default_factory=dict)

    def __str__(self) -> str:
        lacking = [f"{count:,} × {reason}" for reason, count in self.lacking.most_common()]
        return "; ".join(filter(None, [*lacking, self.describe_refused()]))

    def describe_refused(self) -> str:
        """How many labels cannot be used, and the first of them with its file and line; empty if
        all can.
        """
        if not self.refused:
            return ""
        count, first = len(self.refused), next(iter(self.refused.values()))
        if count > 1 and len({refused.reason for refused in self.refused.values()}) == 1:
            return f"{count:,} × {first.reason} (first: {first.place})"
        return f"{count:,} × {UNUSABLE} (first: {first.place}: {first.reason})"


UNUSABLE = "its label cannot be used"


class NothingToAskError(CorpusError):
    """A split in which a task can be asked of nothing."""

    def __init__(self, corpus: str, split: str, task: str, left_out: LeftOut) -> None:
        self.reason = (
            f"none of {left_out.num_utterances:,} clips can be asked: {left_out or 'there is none'}"
        )
        super().__init__(
            f"corpus '{corpus}', split '{split}': none of its {left_out.num_utterances:,}"
            f" utterances fits task '{task}' ({left_out or 'there is none'}). Choose another task,"
            " or add or mend the labels"
        )


@dataclass(frozen=True)
class Askable:
    """What of a split a task can be asked.

    Attributes:
        utterances: In the manifest's order; one at least of the task's questions fits each.
        only: Of utterances that not all of the task's questions fit, those that do, by id.
        left_out: The rest.
    """

    utterances: list[Utterance]
    only: Mapping[str, tuple[str, ...]]
    left_out: LeftOut

    def variants(self, task: Task, utterance: Utterance) -> tuple[str, ...]:
        """The questions that can be asked of one of the utterances."""
        return self.only.get(utterance.id) or task.variants(utterance)


def _naming(task: Task, reason: str) -> str:
    named = f"task '{task.name}'"
    return reason if named in reason else f"{named}: {reason}"


def askable(task: Task, corpus: Corpus, split: str, words: Words | None = None) -> Askable:
    """Parts the utterances of a split into those that a task can be asked of and those it cannot,
    and says why.

    `words` is what is said in the split, where that is at hand.
    """
    everyone = corpus.utterances(split)
    words, labels = words or Words.of(corpus, split), corpus.labels_with(task.label_fields)
    left_out, usable, only = LeftOut(len(everyone)), list[Utterance](), dict[str, tuple[str, ...]]()
    for utterance in everyone:
        if lack := task.missing(utterance):
            left_out.lacking[lack] += 1
            continue
        ask = Ask(rng_for(0, "askable", task.name, utterance.id), labels=labels, **words._asdict())
        faults = task.faults(utterance, ask)
        for variant, reason in faults.items():
            name = f"{utterance.id}/{variant}" if variant else utterance.id
            left_out.refused[name] = Refused(utterance.place, _naming(task, reason))
        variants = tuple(variant for variant in task.variants(utterance) if variant not in faults)
        if faults and variants:
            only[utterance.id] = variants
        if variants:
            usable.append(utterance)
    return Askable(usable, only, left_out)


def applicable(task: Task, corpus: Corpus, split: str, words: Words | None = None) -> Askable:
    """As `askable`, for a task that must be asked of some.

    Raises:
        CorpusError: If it can be asked of none, with what is missing or wrong.
    """
    found = askable(task, corpus, split, words)
    if not found.utterances:
        raise NothingToAskError(corpus.name, split, task.name, found.left_out)
    return found
