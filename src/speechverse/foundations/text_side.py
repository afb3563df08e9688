"""The spoken world without its sound: what is said, with every label, asked about in the tasks' own words."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from speechverse.foundations.renaming import RENAMED, other_names, renamed, with_names
from speechverse.seeding import rng_for
from speechverse.synth.accents import ACCENTS
from speechverse.synth.language import Sentence, draw_sentence
from speechverse.synth.language.sentence import Part
from speechverse.synth.styles import EMOTIONS, SENTIMENT_OF
from speechverse.tasks import Ask, LabelSet, Task, get_task
from speechverse.tasks.prompts import Wording
from speechverse.tasks.registry import TASKS
from speechverse.types import AudioRef, Example, Utterance

TASK_WEIGHTS = {
    "asr": 1.5,
    "st": 3.5,
    "ic": 5.0,
    "sf": 4.0,
    "kwe": 3.0,
    "kws": 4.0,
    "er": 2.0,
    "asc": 2.0,
    "ac": 2.5,
    "sc": 1.5,
    "sns": 0.5,
}
"""How often each task is asked."""

STRATA = {"grammar": 0.7, "free": 0.1, "names": 0.08, "numbers": 0.06, "random": 0.06}
"""Stratum → weight, of what the LLM reads."""

SPOKEN_STRATA = {"grammar": 0.5, "free": 0.16, "names": 0.12, "numbers": 0.08, "random": 0.14}
"""Stratum → weight, of what the encoder hears: much that no grammar tells, so that it learns sounds."""

LISTED = (3, 6, 16)
"""Labels an instruction lists at most, one of these: short lists are cheap and more of them can be read."""
PLAINEST = 15
"""Wordings of a task that an LLM meets from its first step."""

_HEARD = {"er": "emotion", "asc": "sentiment", "ac": "accent", "sc": "num_speakers"}
_COUNTS = {1: "one", 2: "two"}


class Question(NamedTuple):
    """A task's question on a sentence: what is said and in which styles, the instruction, the answer."""

    said: str
    instruction: str
    target: str
    styles: list[str]


class TextSide:
    """Draws sentences of one part of the world and asks the tasks about them."""

    def __init__(self, labels: Mapping[str, LabelSet], part: Part, seed: int, sentences: int) -> None:
        """Draws `sentences` utterances once; each question picks one of them."""
        self.labels = labels
        self.utterances = [self._utterance(rng_for(seed, part, index), part, index) for index in range(sentences)]
        self.keywords = tuple(word for u in self.utterances for word in u.labels.get("keywords", ()))
        # Users' own tasks, and new ones without a weight here, are asked of corpora that have their labels.
        self.tasks = {name: get_task(name) for name in TASKS if name in TASK_WEIGHTS}
        self._questioned = [u for u in self.utterances if u.labels.get("questions")]
        self._by_task = {name: [u for u in self.utterances if task.applies_to(u)] for name, task in self.tasks.items()}
        self._by_style = {name: _by_label(some, _HEARD.get(name)) for name, some in self._by_task.items()}

    def _utterance(self, rng: random.Random, part: Part, index: int) -> Utterance:
        kind = rng.choices(("one", "two", "none"), (0.86, 0.08, 0.06))[0]
        if kind == "none":
            return _silent(index)
        sentences = [_draw(rng, part) for _ in range(2 if kind == "two" else 1)]
        emotion = rng.choice(list(EMOTIONS))
        heard = {"emotion": emotion, "sentiment": SENTIMENT_OF[emotion], "accent": rng.choice(list(ACCENTS))}
        labels = {**(sentences[0].labels | heard if kind == "one" else {}), "num_speakers": len(sentences)}
        text = " ".join(sentence.text for sentence in sentences)
        return _spoken(index, text, {**labels, "is_speech": True})

    def draw(
        self, rng: random.Random, share_renamed: float = 0.0, share_reworded: float = 0.0, share_wordings: float = 1.0
    ) -> Question:
        """One question of any task, in a wording seen in training.

        Args:
            rng: Source of the draws.
            share_renamed: Share of questions whose labels, where they have descriptions, are called by words of these.
            share_reworded: Share of questions some words of which are replaced by others of like meaning.
            share_wordings: Share of the task's wordings to draw from (see `first_of`).
        """
        name = rng.choices(list(self.tasks), [TASK_WEIGHTS[name] for name in self.tasks])[0]
        utterance, task = rng.choice(rng.choice(self._by_style[name])), self.tasks[name]
        wordings = first_of(task.prompts.seen, share_wordings)
        if name in RENAMED and rng.random() < share_renamed:
            return self._ask_renamed(task, utterance, rng, share_reworded, wordings)
        return self.ask(task, utterance, rng, reworded=share_reworded, template=rng.choice(wordings))[1]

    def draw_free(self, rng: random.Random) -> Question:
        """A question that no task asks, about what stands in one sentence."""
        utterance = rng.choice(self._questioned)
        question, answer = rng.choice(utterance.labels["questions"])
        return Question(utterance.text or "", question, answer, self.idle_styles(rng))

    def ask(
        self,
        task: Task,
        utterance: Utterance,
        rng: random.Random,
        wording: Wording = "seen",
        reworded: float = 0.0,
        template: str | None = None,
    ) -> tuple[Example, Question]:
        """A task's question about an utterance, and the styles that a listener would hear."""
        labels = self.labels.get(task.label_field) if task.label_field else None
        ask = Ask(
            rng,
            wording,
            labels=labels,
            vocabulary=self.keywords,
            max_listed=rng.choice(LISTED),
            describe=0.15,
            reworded=reworded,
        )
        example = task.render(utterance, ask, template=template)
        return example, self._question(task, example, rng)

    def _ask_renamed(
        self, task: Task, utterance: Utterance, rng: random.Random, reworded: float, wordings: Sequence[str]
    ) -> Question:
        """A listing question with other names, most often described: they can only be understood."""
        labels = self.labels[task.label_field or ""]
        names = other_names(labels, rng)
        listed = rng.choice(LISTED)
        ask = Ask(rng, labels=renamed(labels, names), max_listed=listed, describe=0.6, reworded=reworded)
        listing = [text for text in wordings if "{labels}" in text]
        example = task.render(with_names(utterance, names), ask, template=rng.choice(listing))
        return self._question(task, example, rng)

    def _question(self, task: Task, example: Example, rng: random.Random) -> Question:
        styles = self._styles(task, example.utterance, rng)
        return Question(example.utterance.text or "", example.instruction, example.target, styles)

    def _styles(self, task: Task, utterance: Utterance, rng: random.Random) -> list[str]:
        """What voice and tone would tell: always what the task asks for, the rest now and then."""
        needed = _HEARD.get(task.name)
        values = {field: utterance.labels.get(field) for field in _HEARD.values()}
        share = rng.choice((0.0, 0.5, 1.0))
        styles = [
            _COUNTS.get(value, str(value)) if field == "num_speakers" else str(value)
            for field, value in values.items()
            if value is not None and (field == needed or rng.random() < share)
        ]
        return styles if utterance.text else [*styles, "noise"]

    def idle_styles(self, rng: random.Random) -> list[str]:
        """Styles beside a string that nobody asks the style of."""
        if rng.random() < 0.6:
            return []
        return [rng.choice(list(EMOTIONS)), rng.choice(list(ACCENTS))]

    def held_out(self, task: Task, count: int) -> list[Utterance]:
        """The first utterances a task can be asked of."""
        return self._by_task[task.name][:count]


def _by_label(utterances: Sequence[Utterance], field: str | None) -> list[list[Utterance]]:
    """One list for each value of a label, so that none is rare where each is drawn as often; without a field, one."""
    lists: dict[object, list[Utterance]] = {}
    for utterance in utterances:
        lists.setdefault(utterance.labels.get(field) if field else None, []).append(utterance)
    return list(lists.values())


def _draw(rng: random.Random, part: Part) -> Sentence:
    stratum = rng.choices(list(STRATA), list(STRATA.values()))[0]
    return draw_sentence(part, rng, stratum)


def _spoken(index: int, text: str, labels: Mapping[str, object]) -> Utterance:
    return Utterance(f"text-{index}", AudioRef(Path()), 0.0, text, language="en", labels=labels)


def _silent(index: int) -> Utterance:
    return Utterance(f"text-{index}", AudioRef(Path()), 0.0, "", labels={"is_speech": False})


def first_of(wordings: Sequence[str], share: float) -> Sequence[str]:
    """The first wordings of a prompt file, which are its plainest: `share` of them, but never fewer than `PLAINEST`."""
    return wordings[: max(PLAINEST, round(share * len(wordings)))]


def world_words(utterances: Sequence[Utterance]) -> list[str]:
    """Every word said, once, in order of first use."""
    return list(dict.fromkeys(word for utterance in utterances for word in (utterance.text or "").split()))
