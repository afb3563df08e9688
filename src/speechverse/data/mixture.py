"""Mixtures: which utterance is asked which task, and how often.

A pass is a number of draws shared out among the items by weight. Each item walks through all its
utterances, in an order of its own for each cycle, before it repeats one, and goes on in the next
pass where it stopped in this one. Everything is a function of seed, pass and names: any pass can be
drawn without the ones before it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal

import numpy as np

from speechverse.data.applicable import Askable, LeftOut, Words, applicable
from speechverse.data.corpus import Corpus
from speechverse.data.turns import draw_turns
from speechverse.errors import RecipeError
from speechverse.seeding import fingerprint, hash_seed, rng_for
from speechverse.tasks import TASKS, Ask, LabelSet, OneOf, Task, get_task
from speechverse.types import AudioRef, Example, Turn, Utterance

Rule = Literal["size", "sqrt"]
_RULES: dict[str, Callable[[int], float]] = {"size": float, "sqrt": math.sqrt}
_DRAWING = 2
"""Rises when the same mixture draws other examples: 1 drew which of several questions to ask, and
asked some twice.
"""

_LARGEST_LOG = 600.0
"""Of a number and its inverse that floats can still hold."""
_LARGEST_PASS = 100_000
"""Draws; resuming walks through the pass again from its start, so a pass is kept to about half a
minute of walking.
"""


@dataclass(frozen=True)
class MixtureItem:
    """One corpus split asked one task.

    Attributes:
        corpus: Where the utterances come from.
        task: The task, or its name.
        split: Which split.
        weight: How often it is drawn beside the others: a number, or the rule `size` or `sqrt` of
            its utterances.
        loss_weight: What its examples' loss counts beside the others'.
        balanced: Whether every answer of a closed task is drawn equally often, however rare it is
            in the corpus. A label field has every value of it drawn equally often, in a closed task
            among the clips of an answer.
    """

    corpus: Corpus
    task: Task | str
    split: str = "train"
    weight: float | Rule = "size"
    loss_weight: float = 1.0
    balanced: bool | str = False


@dataclass(frozen=True, slots=True)
class Draw:
    """One draw: which item, which of its utterances, and the number of the walk through them."""

    item: int
    utterance: int
    cycle: int


@dataclass(frozen=True)
class _Walk:
    """Utterances of an item that are walked through together.

    Attributes:
        name: Of its orders.
        places: Among the item's utterances.
        first: The first of the item's draws that is a step of this walk.
        every: Draws from one of its steps to the next.
    """

    name: str
    places: np.ndarray
    first: int
    every: int

    def steps_before(self, draw: int) -> int:
        """How many of the item's first `draw` draws are steps of this walk."""
        return -((self.first - draw) // self.every)


@dataclass(frozen=True)
class _Source:
    """An item made ready: what its task can be asked of.

    Attributes:
        walks: One, or one for each answer, each value of a field, or both.
    """

    name: str
    task: Task
    askable: Askable
    walks: list[_Walk]
    labels: Mapping[str, LabelSet]
    words: Words

    @property
    def utterances(self) -> list[Utterance]:
        return self.askable.utterances

    @property
    def left_out(self) -> LeftOut:
        return self.askable.left_out


@dataclass
class Mixture:
    """Items with their shares of the draws.

    Attributes:
        items: What is mixed.
        seed: Seed of every draw.
        temperature: Weights are raised to 1 / temperature: 1 leaves them, 2 takes the square root,
            large evens out.
        renamed: Probability that the labels of a closed task are listed, and answered, under other
            names.
        hinted: Probability that an instruction of a task that takes hints has some.
        turns: Probability that an example follows one or two earlier turns: other tasks of the
            mixture, asked of the same clip and answered rightly. Only its own answer is learned:
            the earlier ones are learned at other draws, with the weights that the mixture gives
            them.
        pass_size: Draws in a pass; by default as many as the items have utterances, at most
            100,000.
    """

    items: Sequence[MixtureItem]
    seed: int = 0
    temperature: float = 1.0
    renamed: float = 0.0
    hinted: float = 0.0
    turns: float = 0.0
    pass_size: int | None = None
    sources: list[_Source] = field(init=False, repr=False)
    shares: list[float] = field(init=False)

    def __post_init__(self) -> None:
        self.sources = _make_ready(self.items)
        self.shares = _shares(
            self.items, [len(source.utterances) for source in self.sources], self.temperature
        )
        total = sum(len(source.utterances) for source in self.sources)
        self.draws_per_pass = self.pass_size or min(total, _LARGEST_PASS)

    def draws(self, pass_index: int) -> Iterator[Draw]:
        """The draws of one pass, in order."""
        columns = [self._item_draws(item, pass_index) for item in range(len(self.items))]
        table = np.concatenate(columns)
        order = _permutation(len(table), self.seed, "order", pass_index)
        for item, utterance, cycle in table[order].tolist():
            yield Draw(item, utterance, cycle)

    def _item_draws(self, item: int, pass_index: int) -> np.ndarray:
        """(N, 3) of item, utterance and cycle: the item's next stretch of its endless walks, which
        take turns.
        """
        bounds = [
            round(n * self.draws_per_pass * self.shares[item]) for n in (pass_index, pass_index + 1)
        ]
        rows = []
        for walk in self.sources[item].walks:
            start, stop = map(walk.steps_before, bounds)
            size = len(walk.places)
            for cycle in range(start // size, -(-stop // size)):
                order = walk.places[_permutation(size, self.seed, walk.name, cycle)]
                part = order[max(start - cycle * size, 0) : stop - cycle * size]
                rows.append(
                    np.stack([np.full(len(part), item), part, np.full(len(part), cycle)], axis=1)
                )
        return np.concatenate(rows) if rows else np.empty((0, 3), dtype=np.int64)

    def example(self, draw: Draw) -> Example:
        """Renders a draw; wording, labels and keywords are a hash of seed, cycle, utterance and
        task.

        Of a task with several questions about an utterance, each is asked once before one is asked
        again.
        """
        source = self.sources[draw.item]
        utterance = source.utterances[draw.utterance]
        example = self._rendered(source, utterance, draw.cycle, "example")
        earlier = self._earlier(source, utterance, draw.cycle) if self.turns else ()
        return replace(example, earlier=earlier) if earlier else example

    def _rendered(self, source: _Source, utterance: Utterance, cycle: int, use: str) -> Example:
        rng = rng_for(self.seed, use, cycle, source.name, utterance.id)
        ask = Ask(
            rng,
            labels=source.labels,
            renamed=self.renamed,
            hinted=self.hinted,
            **source.words._asdict(),
        )
        # A clip that a task can ask in several ways is asked the next one in each pass.
        variants = source.askable.variants(source.task, utterance)
        first = hash_seed(self.seed, "variant", source.name, utterance.id)
        return source.task.render(utterance, ask, variants[(first + cycle) % len(variants)])

    def _earlier(self, source: _Source, utterance: Utterance, cycle: int) -> tuple[Turn, ...]:
        """Turns of a conversation before a question; there are none where an instruction is about
        several clips, which stand in the first turn alone.
        """
        rng = rng_for(self.seed, "turns", cycle, source.name, utterance.id)
        if rng.random() >= self.turns or utterance.beside:
            return ()
        others = [(other.task, (other, clip)) for other, clip in self._asked_of[utterance.audio]]
        turns = [
            self._rendered(other, clip, cycle, f"before {source.name}")
            for other, clip in draw_turns(rng, source.task, others)
        ]
        return tuple(Turn(turn.instruction, turn.target) for turn in turns)

    @cached_property
    def _asked_of(self) -> dict[AudioRef, list[tuple[_Source, Utterance]]]:
        """By clip, all that the mixture asks of it: corpora of the same audio know other things."""
        found: dict[AudioRef, list[tuple[_Source, Utterance]]] = {}
        for source in self.sources:
            for utterance in (one for one in source.utterances if not one.beside):
                found.setdefault(utterance.audio, []).append((source, utterance))
        return found

    def loss_weight(self, draw: Draw) -> float:
        return self.items[draw.item].loss_weight

    @cached_property
    def num_clips(self) -> int:
        """Of all items together, each once, whatever is asked of it."""
        return len({clip.audio for source in self.sources for clip in source.utterances})

    @cached_property
    def digest(self) -> str:
        """Changes whenever other examples would be drawn, or in another order."""
        parts = [repr((_DRAWING, self.seed, self.draws_per_pass, self.shares))]
        parts += [f"hinted {self.hinted}"] if self.hinted else []
        parts += [f"turns {self.turns}"] if self.turns else []
        parts += [f"renamed {self.renamed}"] if self.renamed else []
        for item, source in zip(self.items, self.sources, strict=True):
            parts.append(repr((source.name, source.task.version, item.loss_weight)))
            parts += [code.hex()] if (code := TASKS.code_of(source.task.name)) else []
            if item.balanced:
                parts.append(
                    "balanced" if item.balanced is True else f"balanced by {item.balanced}"
                )
            parts += map(_describe_labels, source.labels.values())
            parts += map(_identity, source.utterances)
        return fingerprint(*parts)


def examples_digest(weighted: Iterable[tuple[Example, float]]) -> str:
    """Changes whenever other examples, asked otherwise or weighed otherwise, would be."""
    return fingerprint(
        *(
            _identity(example.utterance)
            + repr((example.id, example.prompt, example.target, example.choices, weight))
            for example, weight in weighted
        )
    )


def _describe_labels(labels: LabelSet) -> str:
    return repr((labels.field, dict(labels.descriptions)))


def _identity(utterance: Utterance) -> str:
    """All that an example is rendered from: a corpus written anew under the same ids is another."""
    audio = utterance.audio
    labels = json.dumps(dict(utterance.labels), sort_keys=True, default=str)
    told = (
        utterance.id,
        str(audio.path),
        audio.start,
        audio.duration,
        utterance.duration,
        utterance.text,
        labels,
    )
    return "".join([repr(told), *map(_identity, utterance.beside)])


def _make_ready(items: Sequence[MixtureItem]) -> list[_Source]:
    if not items:
        raise RecipeError("a mixture needs at least one item (corpus, split, task)")
    sources = []
    words: dict[tuple[int, str], Words] = {}
    for item in items:
        key = (id(item.corpus), item.split)
        if key not in words:
            words[key] = Words.of(item.corpus, item.split)
        sources.append(_source(item, words[key]))
    names = [source.name for source in sources]
    for name in names:
        if names.count(name) > 1:
            raise RecipeError(
                f"the mixture lists {name} twice; list it once with the weight it should have"
            )
    return sources


def _source(item: MixtureItem, words: Words) -> _Source:
    task = get_task(item.task) if isinstance(item.task, str) else item.task
    found = applicable(task, item.corpus, item.split, words)
    name = f"{item.corpus.name}/{item.split}/{task.name}"
    walks = _walks(name, _groups(name, task, found.utterances, item.balanced))
    labels = item.corpus.labels_with(task.label_fields)
    return _Source(name, task, found, walks, labels, words)


def _walks(name: str, groups: Mapping[str, Mapping[str, Sequence[int]]]) -> list[_Walk]:
    """Groups take turns, draw by draw, and at its turn each takes the next of its own walks."""
    return [
        _Walk(
            "/".join(filter(None, (name, answer, value))),
            np.array(places),
            n + len(groups) * i,
            every,
        )
        for n, (answer, values) in enumerate(sorted(groups.items()))
        for every in [len(groups) * len(values)]
        for i, (value, places) in enumerate(sorted(values.items()))
    ]


def _groups(
    name: str, task: Task, utterances: Sequence[Utterance], balanced: bool | str
) -> dict[str, dict[str, list[int]]]:
    """Answer → value of the field → places of utterances; each answer is to be drawn as often, in
    it each value.
    """
    if not balanced:
        return {"": {"": list(range(len(utterances)))}}
    closed = task.target is not None and task.constraint is OneOf
    if balanced is True and not closed:
        raise RecipeError(
            f"the mixture's {name}: only a closed task with one answer a clip can be balanced;"
            " leave 'balanced' out"
        )
    groups: dict[str, dict[str, list[int]]] = {}
    for place, utterance in enumerate(utterances):
        answer = task.target(utterance) if task.target is not None and closed else ""
        value = "" if balanced is True else _value(name, utterance, balanced, closed)
        groups.setdefault(answer, {}).setdefault(value, []).append(place)
    return groups


def _value(name: str, utterance: Utterance, field: str, closed: bool) -> str:
    if field not in utterance.labels:
        raise RecipeError(
            f"the mixture's {name} cannot be balanced by '{field}': '{utterance.id}' has no such"
            f" label, it has {', '.join(sorted(utterance.labels)) or 'none'}; give one that all"
            " clips have" + (", or true for the answers" if closed else "")
        )
    return str(utterance.labels[field])


def _shares(items: Sequence[MixtureItem], sizes: Sequence[int], temperature: float) -> list[float]:
    """Shares of the draws, summing to 1; numbers and rules are not mixed, for they have no common
    scale.
    """
    rules = [isinstance(item.weight, str) for item in items]
    if any(rules) and not all(rules):
        raise RecipeError(
            "a mixture's weights are either all numbers or all rules ('size', 'sqrt'), not both"
        )
    if temperature <= 0:
        raise RecipeError(
            f"a mixture's temperature is above 0, not {temperature:g} (1 leaves the weights as they"
            " are)"
        )
    weights = [_weight(item.weight, size) for item, size in zip(items, sizes, strict=True)]
    if any(abs(math.log(weight)) > _LARGEST_LOG * temperature for weight in weights if weight):
        largest = max(weights)  # all else would be no number, or nothing
        weights = [weight / largest for weight in weights]
    weights = [weight ** (1 / temperature) for weight in weights]
    return [weight / sum(weights) for weight in weights]


def _weight(weight: float | str, size: int) -> float:
    if isinstance(weight, str):
        if weight not in _RULES:
            raise RecipeError(
                f"unknown weight '{weight}': give a number, or one of {', '.join(_RULES)}"
            )
        return _RULES[weight](size)
    if not weight > 0 or not math.isfinite(weight):
        raise RecipeError(
            f"a mixture's weight is a number above 0, not {weight}; leave the item out instead"
        )
    return float(weight)


def _permutation(size: int, seed: int, *keys: object) -> np.ndarray:
    """A permutation from names; RandomState's stream is frozen by numpy's compatibility policy,
    Generator's is not.
    """
    bits = hash_seed(seed, *keys)
    return np.random.RandomState([bits & 0xFFFFFFFF, bits >> 32]).permutation(size)
