"""Checkable questions about what is said, with their answers, made from the parse of a sentence.

Each question sets the sentence against a second one of the same kind, drawn like it: what only the first holds is asked
with the answer yes, what only the second holds with no. Both stand in the same relation to the question, so that its
words alone do not tell the answer.
"""

from __future__ import annotations

import functools
import itertools
import random
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from speechverse.synth.language import grammar
from speechverse.synth.language.overlap import content_words

if TYPE_CHECKING:
    from speechverse.synth.language.sentence import Sentence

Question = tuple[str, str]
"""A question and its answer."""

_FEWEST, _MOST = 2, 4
_TRIES = 30
_COUNTS = ("zero", "one", "two", "three")

_MENTIONED = (
    "Does the speaker mention {0}?",
    'Is "{0}" said?',
    'Can "{0}" be heard in what is said?',
    'Does "{0}" come up?',
)
_KIND_NAMED = (
    "Does the speaker name {1}?",
    "Is any {0} named?",
    "Is anything of this kind mentioned: {1}?",
    "Does the speaker say which {0}?",
)
_ABOUT = ("Is this about {0}?", "Does the request have to do with {0}?", "Would you say that the topic is {0}?")
_WHICH_VALUE = (
    "Which {0} is named?",
    "One thing of this kind is named: {1}. What is it?",
    "What {0} does the speaker mention?",
    "Give the {0} that is mentioned.",
)
_WHICH_OF_TWO = (
    "Which is mentioned: {0} or {1}?",
    'Does the speaker say "{0}" or "{1}"?',
    "One of {0} and {1} is named. Which one?",
    "What do you hear, {0} or {1}?",
)
_HOW_MANY = (
    "How many of these are mentioned: {0}, {1}, {2}?",
    'How many of "{0}", "{1}" and "{2}" are said?',
    "Of {0}, {1} and {2}, how many does the speaker name?",
)
_NOUNS = {
    "people": "number of people",
    "copies": "number of copies",
    "repetitions": "number of repetitions",
    "thousands": "number of paces",
    "ailing_since": "length of illness",
}
"""Singular nouns for slots whose names do not go with "is"."""
_FIRST = ('Which word comes first, "{0}" or "{1}"?', 'What is said earlier: "{0}" or "{1}"?')


class _Pair(NamedTuple):
    """The sentence asked about, the one it is set against, and where chance comes from."""

    said: Sentence
    other: Sentence
    rng: random.Random


def ask(sentence: Sentence, draw_other: Callable[[], Sentence], rng: random.Random) -> tuple[Question, ...]:
    """Asks two to four questions about a sentence.

    Args:
        sentence: What is said.
        draw_other: Draws a sentence of the same kind.
        rng: Where chance comes from.

    Returns:
        Questions with their answers; no two of a sort.
    """
    wanted = rng.randint(_FEWEST, _MOST)
    sorts = list(_SORTS)
    rng.shuffle(sorts)
    questions: list[Question] = []
    for _ in range(_TRIES):
        pair = _Pair(sentence, draw_other(), rng)
        questions = list(itertools.islice(filter(None, (sort(pair) for sort in sorts)), wanted))
        if len(questions) >= _FEWEST:
            break
    return tuple(questions)


def _mentioned(pair: _Pair) -> Question | None:
    return _yes_or_no(pair, _MENTIONED, _phrases_of_each(pair))


def _kind_named(pair: _Pair) -> Question | None:
    mine, others = _kinds(pair.said, pair.other), _kinds(pair.other, pair.said)
    return _yes_or_no(pair, _KIND_NAMED, (mine, others))


def _about(pair: _Pair) -> Question | None:
    domains = [sentence.domain for sentence in (pair.said, pair.other)]
    if domains[0] == domains[1] or None in domains:
        return None
    described = [grammar.load().domains[domain].description for domain in domains if domain]
    if content_words(described[0]) & content_words(described[1]):
        return None
    return _yes_or_no(pair, _ABOUT, ([(described[0],)], [(described[1],)]))


def _which_value(pair: _Pair) -> Question | None:
    slots = grammar.load().slots
    text = pair.said.text
    alone = [
        (name, value)
        for name, value in pair.said.slots
        if all(found in value for found in _values_in(text).get(name, ()))
    ]
    if not alone:
        return None
    name, value = pair.rng.choice(alone)
    return pair.rng.choice(_WHICH_VALUE).format(spoken_name(name), slots[name].description), value


def _which_of_two(pair: _Pair) -> Question | None:
    mine, others = _phrases_of_each(pair)
    if not mine or not others:
        return None
    answer = pair.rng.choice(mine)
    both = [answer, pair.rng.choice(others)]
    pair.rng.shuffle(both)
    return pair.rng.choice(_WHICH_OF_TWO).format(*(phrase for (phrase,) in both)), answer[0]


def _how_many(pair: _Pair) -> Question | None:
    mine, others = _phrases_of_each(pair)
    feasible = [count for count in range(len(_COUNTS)) if count <= len(mine) and 3 - count <= len(others)]
    if len(feasible) < 2:
        return None
    count = pair.rng.choice(feasible)
    asked = [*pair.rng.sample(mine, count), *pair.rng.sample(others, 3 - count)]
    pair.rng.shuffle(asked)
    return pair.rng.choice(_HOW_MANY).format(*(phrase for (phrase,) in asked)), _COUNTS[count]


def _first(pair: _Pair) -> Question | None:
    """Only where words stand in any order, for elsewhere grammar tells the answer."""
    words = pair.said.text.split()
    if pair.said.stratum != "random":
        return None
    both = pair.rng.sample(words, 2)
    return pair.rng.choice(_FIRST).format(*both), min(both, key=words.index)


_SORTS = (_mentioned, _kind_named, _about, _which_value, _which_of_two, _how_many, _first)


def _yes_or_no(
    pair: _Pair, wordings: tuple[str, ...], facts: tuple[list[tuple[str, ...]], list[tuple[str, ...]]]
) -> Question | None:
    """Asks for a fact of the one or of the other; both must have some, lest the choice tell the answer."""
    if not all(facts):
        return None
    is_yes = pair.rng.random() < 0.5
    fact = pair.rng.choice(facts[0] if is_yes else facts[1])
    return pair.rng.choice(wordings).format(*fact), "yes" if is_yes else "no"


def _phrases_of_each(pair: _Pair) -> tuple[list[tuple[str, ...]], list[tuple[str, ...]]]:
    return _phrases(pair.said, pair.other), _phrases(pair.other, pair.said)


def _phrases(sentence: Sentence, other: Sentence) -> list[tuple[str, ...]]:
    """Words or values of a sentence that share nothing with the other one."""
    foreign = content_words(other.text)
    phrases = dict.fromkeys([*(value for _, value in sentence.slots), *sentence.keywords])
    if not any(map(content_words, phrases)):
        phrases = dict.fromkeys(sentence.text.split())
    return [(phrase,) for phrase in phrases if (words := content_words(phrase)) and not words & foreign]


def _kinds(sentence: Sentence, other: Sentence) -> list[tuple[str, ...]]:
    """Kinds of values that a sentence names and the other does not, nor anything that could pass for one."""
    world = grammar.load()
    named = {name for name, _ in other.slots} | set(_values_in(other.text))
    return [
        (spoken_name(name), world.slots[name].description)
        for name, _ in sentence.slots
        if not any(_are_alike(world, name, foreign) for foreign in named)
    ]


@functools.cache
def _are_alike(world: grammar.World, name: str, other: str) -> bool:
    """Whether a value of one slot might be taken for one of the other."""
    if name == other:
        return True
    slots = world.slots
    values, others = ({value.value for value in slots[each].values} for each in (name, other))
    described = [content_words(f"{spoken_name(each)} {slots[each].description}") for each in (name, other)]
    return bool(values & others or described[0] & described[1])


def _values_in(text: str) -> Mapping[str, list[str]]:
    """Every value of every slot that a text holds, meant or not: slot → values."""
    slots_of, lengths = _slots_of_values(grammar.load())
    words = text.split()
    found: dict[str, list[str]] = {}
    for start, word in enumerate(words):
        for length in lengths.get(word, ()):
            value = " ".join(words[start : start + length])
            for slot in slots_of.get(value, ()):
                found.setdefault(slot, []).append(value)
    return found


@functools.cache
def _slots_of_values(world: grammar.World) -> tuple[Mapping[str, set[str]], Mapping[str, set[int]]]:
    """Every value → the slots that take it, and every first word of a value → how many words such values have."""
    slots_of: dict[str, set[str]] = {}
    lengths: dict[str, set[int]] = {}
    for slot in world.slots.values():
        for value in slot.values:
            words = value.value.split()
            slots_of.setdefault(" ".join(words), set()).add(slot.name)
            lengths.setdefault(words[0], set()).add(len(words))
    return slots_of, lengths


def spoken_name(name: str) -> str:
    """A slot's name as questions say it: a singular noun."""
    return _NOUNS.get(name, name.replace("_", " "))
