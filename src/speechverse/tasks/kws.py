"""Keyword search: was this word said? Words said and not said are of one kind, so that the word alone tells nothing."""

from __future__ import annotations

import random
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from speechverse.errors import TaskError
from speechverse.stop_words import STOP_WORDS
from speechverse.tasks.labels import LabelSet
from speechverse.tasks.parsing import label_parser
from speechverse.tasks.prompts import PromptSet
from speechverse.tasks.task import Ask, OneOf, Task
from speechverse.types import Utterance

NUM_TRIES = 50
"""Draws of a word not said before the whole vocabulary is gone through."""

_SPOKEN_SIGNS = frozenset("#%&@")
"""Punctuation to Unicode that is read out: "c#" is not "c"."""


@dataclass(frozen=True, kw_only=True)
class KeywordSearch(Task):
    """A task that draws the word it asks for.

    Attributes:
        positive_share: Probability of asking for a word that is said (the paper: 0.7).
    """

    positive_share: float = 0.5

    def faults(self, utterance: Utterance, ask: Ask) -> dict[str, str]:
        """Whether there is a word to ask for in vain, too: where none is, the answer would always be yes."""
        try:
            draw_unsaid(ask.rng, utterance, ask.vocabulary)
        except TaskError as error:
            return {"": str(error)}
        return {}

    def fields(self, utterance: Utterance, ask: Ask, variant: str) -> Mapping[str, str]:
        """The word asked for."""
        if ask.rng.random() < self.positive_share and (said := said_keywords(utterance, ask.vocabulary)):
            return {"keyword": ask.rng.choice(said)}
        return {"keyword": draw_unsaid(ask.rng, utterance, ask.vocabulary)}

    def answer(self, utterance: Utterance, fields: Mapping[str, str], variant: str) -> str:
        """Whether that word is said."""
        return "yes" if is_said(fields["keyword"], _words(utterance.text)) else "no"


def said_keywords(utterance: Utterance, vocabulary: tuple[str, ...] = ()) -> Sequence[str]:
    """The utterance's keywords that its text holds; without them the vocabulary's; then its content words, or any."""
    words = _words(utterance.text)
    labelled = map(_plain, utterance.labels.get("keywords") or ())
    return (
        [keyword for keyword in labelled if keyword and is_said(keyword, words)]
        or _known(words, vocabulary)
        or [word for word in words if word not in STOP_WORDS]
        or words
    )


def _known(words: Sequence[str], vocabulary: tuple[str, ...]) -> list[str]:
    """Keywords of other utterances that are said here: words not said are drawn from the same.

    There may be none; the caller then falls back to content words, which are of another kind than words not said.
    """
    known = _known_once(_Identity(vocabulary))
    spans = (
        " ".join(words[start:end])
        for start in range(len(words))
        for end in range(start + 1, min(start + known.longest, len(words)) + 1)
    )
    return list(dict.fromkeys(span for span in spans if span in known.keywords))


@dataclass(frozen=True)
class _Known:
    """A vocabulary to look keywords up in, and the number of words of its longest."""

    keywords: frozenset[str]
    longest: int

    @classmethod
    def of(cls, vocabulary: Iterable[str]) -> _Known:
        keywords = frozenset(map(_plain, set(vocabulary)))
        return cls(keywords, max((keyword.count(" ") + 1 for keyword in keywords), default=0))


class _Identity:
    """A vocabulary as a key of a cache: hashed by identity, for its words are many, and kept alive with the entry."""

    def __init__(self, vocabulary: tuple[str, ...]) -> None:
        self.vocabulary = vocabulary

    def __hash__(self) -> int:
        return id(self.vocabulary)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Identity) and self.vocabulary is other.vocabulary


@lru_cache(maxsize=16)
def _known_once(key: _Identity) -> _Known:
    return _Known.of(key.vocabulary)


def draw_unsaid(rng: random.Random, utterance: Utterance, vocabulary: Sequence[str]) -> str:
    """A word of the vocabulary that is not said, nor is the beginning or a longer form of one that is.

    Raises:
        TaskError: If the vocabulary has none.
    """
    if not vocabulary:
        raise TaskError("no clip has 'keywords', which words not said are drawn from")
    words = _words(utterance.text)
    for _ in range(NUM_TRIES):
        keyword = _plain(rng.choice(vocabulary))
        if not is_confusable(keyword, words):
            return keyword
    unsaid = [keyword for keyword in map(_plain, vocabulary) if not is_confusable(keyword, words)]
    if not unsaid:
        raise TaskError(
            f"task 'kws' found no word that utterance '{utterance.id}' does not say among the {len(vocabulary)} of the "
            "vocabulary; give it other keywords of the corpus"
        )
    return rng.choice(unsaid)


def is_said(keyword: str, words: Sequence[str]) -> bool:
    """Whether the words of a keyword stand together, in order, among the words of a text."""
    sought = keyword.split()
    starts = range(len(words) - len(sought) + 1)
    return any(list(words[start : start + len(sought)]) == sought for start in starts)


def is_confusable(keyword: str, words: Sequence[str]) -> bool:
    """Whether a keyword is said, or differs from a spoken word only in its ending (`light`, `lights`)."""
    return is_said(keyword, words) or any(
        longer.startswith(shorter)
        for part in keyword.split()
        for shorter, longer in (sorted((part, word), key=len) for word in words)
        if len(shorter) >= 4
    )


def _words(text: str | None) -> list[str]:
    """Lower-case words without the punctuation at their edges; apostrophes and hyphens inside them stay."""
    return [word for word in map(_bare, (text or "").lower().split()) if word]


def _plain(keyword: str) -> str:
    """A keyword as it stands among `_words`; empty if it is punctuation only."""
    return " ".join(_words(keyword))


def _bare(word: str) -> str:
    if word.isalnum():
        return word
    start, end = 0, len(word)
    while start < end and _is_punctuation(word[start]):
        start += 1
    while end > start and _is_punctuation(word[end - 1]):
        end -= 1
    return word[start:end]


def _is_punctuation(sign: str) -> bool:
    return unicodedata.category(sign).startswith("P") and sign not in _SPOKEN_SIGNS


KWS = KeywordSearch(
    name="kws",
    title="Keyword search",
    group="slu",
    prompts=PromptSet.load("kws"),
    requires=("text",),
    parser=label_parser({"yes": ("y", "true", "yes it is"), "no": ("n", "false", "no it is not")}),
    labels=LabelSet("keyword_said", {"yes": "the word is said", "no": "the word is not said"}),
    constraint=OneOf,
    metrics=("balanced_accuracy", "accuracy"),
    # 1 asked of unlabelled clips for any content word, which no clip was asked for in vain; 2, 3 in fewer wordings;
    # 4 read "true" or "no, it is not" as nothing
    version=6,  # 5 asked in several hundred wordings
)
