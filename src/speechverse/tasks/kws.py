"""Keyword search: was this said? Words said and not said are of one kind, so that the word alone
tells nothing.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from speechverse.errors import TaskError
from speechverse.stop_words import STOP_WORDS
from speechverse.tasks.labels import LabelSet
from speechverse.tasks.parsing import label_parser
from speechverse.tasks.prompts import PromptSet
from speechverse.tasks.spoken import (
    NUM_TRIES,
    ByIdentity,
    draw_span,
    is_confusable,
    is_said,
    spoken_once,
    words_of,
)
from speechverse.tasks.task import Ask, OneOf, Task
from speechverse.types import Utterance

_OPEN_SHARE = 0.5
"""In training, how often a clip that has keywords is asked for any words of its text instead."""


@dataclass(frozen=True, kw_only=True)
class KeywordSearch(Task):
    """A task that draws the word it asks for.

    Attributes:
        positive_share: Probability of asking for a word that is said (the paper: 0.7).
    """

    positive_share: float = 0.5

    def faults(self, utterance: Utterance, ask: Ask) -> dict[str, str]:
        """Whether there is a word to ask for in vain, too: where none is, the answer would always
        be yes.
        """
        try:
            self._unsaid(utterance, ask)
        except TaskError as error:
            return {"": str(error)}
        return {}

    def fields(self, utterance: Utterance, ask: Ask, variant: str) -> Mapping[str, str]:
        positive = ask.rng.random() < self.positive_share
        if self._asks_openly(utterance, ask):
            words = words_of(utterance.text)
            return {
                "keyword": (
                    draw_span(ask.rng, words)
                    if positive and words
                    else self._unsaid(utterance, ask)
                )
            }
        if positive and (said := said_keywords(utterance, ask.vocabulary)):
            return {"keyword": ask.rng.choice(said)}
        return {"keyword": draw_unsaid(ask.rng, utterance, ask.vocabulary)}

    def _asks_openly(self, utterance: Utterance, ask: Ask) -> bool:
        """Whether to ask for any words of any text, as where nobody chose keywords; in training now
        and then anyway.
        """
        if not ask.texts or not ask.vocabulary:
            return bool(ask.texts)
        return ask.training and (
            not utterance.labels.get("keywords") or ask.rng.random() < _OPEN_SHARE
        )

    def _unsaid(self, utterance: Utterance, ask: Ask) -> str:
        if ask.texts and (
            span := spoken_once(ByIdentity(ask.texts)).unsaid(ask.rng, words_of(utterance.text))
        ):
            return span
        return draw_unsaid(ask.rng, utterance, ask.vocabulary)

    def answer(self, utterance: Utterance, fields: Mapping[str, str], variant: str) -> str:
        return "yes" if is_said(fields["keyword"], words_of(utterance.text)) else "no"


def said_keywords(utterance: Utterance, vocabulary: tuple[str, ...] = ()) -> Sequence[str]:
    """The utterance's keywords that its text holds; without them the vocabulary's; then its content
    words, or any.
    """
    words = words_of(utterance.text)
    labelled = map(_plain, utterance.labels.get("keywords") or ())
    return (
        [keyword for keyword in labelled if keyword and is_said(keyword, words)]
        or _known(words, vocabulary)
        or [word for word in words if word not in STOP_WORDS]
        or words
    )


def _known(words: Sequence[str], vocabulary: tuple[str, ...]) -> list[str]:
    """Keywords of other utterances that are said here: words not said are drawn from the same.

    There may be none; the caller then falls back to content words, which are of another kind than
    words not said.
    """
    keywords, longest = _known_once(ByIdentity(vocabulary))
    spans = (
        " ".join(words[start:end])
        for start in range(len(words))
        for end in range(start + 1, min(start + longest, len(words)) + 1)
    )
    return list(dict.fromkeys(span for span in spans if span in keywords))


@lru_cache(maxsize=16)
def _known_once(key: ByIdentity) -> tuple[frozenset[str], int]:
    """A vocabulary to look keywords up in, and the number of words of its longest."""
    keywords = frozenset(map(_plain, set(key.texts)))
    return keywords, max((keyword.count(" ") + 1 for keyword in keywords), default=0)


def draw_unsaid(rng: random.Random, utterance: Utterance, vocabulary: Sequence[str]) -> str:
    """A word of the vocabulary that is not said, nor is the beginning or a longer form of one that
    is.

    Raises:
        TaskError: If the vocabulary has none.
    """
    if not vocabulary:
        raise TaskError(
            "no clip has 'keywords', and no other text has a word that is not said here"
        )
    words = words_of(utterance.text)
    for _ in range(NUM_TRIES):
        keyword = _plain(rng.choice(vocabulary))
        if not is_confusable(keyword, words):
            return keyword
    unsaid = [keyword for keyword in map(_plain, vocabulary) if not is_confusable(keyword, words)]
    if not unsaid:
        raise TaskError(
            f"task 'kws' found no word that utterance '{utterance.id}' does not say among the"
            f" {len(vocabulary)} of the vocabulary; give it other keywords of the corpus"
        )
    return rng.choice(unsaid)


def _plain(keyword: str) -> str:
    """A keyword as it stands among `words_of`; empty if it is punctuation only."""
    return " ".join(words_of(keyword))


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
    # 1 asked of unlabelled clips for any content word, which no clip was asked for in vain; 2, 3 in
    # fewer wordings; 4 read "true" or "no, it is not" as nothing; 5 asked for keywords only, in
    # several hundred wordings
    version=6,
)
