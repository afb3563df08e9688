"""Keyword search: was this word said? Words said and not said are of one kind, so that the word alone tells nothing."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from speechverse.errors import TaskError
from speechverse.tasks.labels import LabelSet
from speechverse.tasks.parsing import label_parser
from speechverse.tasks.prompts import PromptSet
from speechverse.tasks.task import Ask, OneOf, Task
from speechverse.types import Utterance

NUM_TRIES = 50
"""Draws of a word not said before the whole vocabulary is gone through."""

STOP_WORDS = frozenset(
    """a about after all also am an and any are as at be been before but by can could did do does for from get give had
    has have he her here him his how i if in into is it its just let me more my no not now of off on one or our out over
    please put she should so some tell than that the their them then there they this to too turn up us was we were what
    when where which who why will with would yes you your""".split()
)


@dataclass(frozen=True, kw_only=True)
class KeywordSearch(Task):
    """A task that draws the word it asks for.

    Attributes:
        positive_share: Probability of asking for a word that is said (the paper: 0.7).
    """

    positive_share: float = 0.5

    def fields(self, utterance: Utterance, ask: Ask, variant: str) -> Mapping[str, str]:
        """The word asked for."""
        if ask.rng.random() < self.positive_share:
            return {"keyword": ask.rng.choice(said_keywords(utterance, ask.vocabulary))}
        return {"keyword": draw_unsaid(ask.rng, utterance, ask.vocabulary)}

    def answer(self, utterance: Utterance, fields: Mapping[str, str], variant: str) -> str:
        """Whether that word is said."""
        return "yes" if is_said(fields["keyword"], _words(utterance)) else "no"


def said_keywords(utterance: Utterance, vocabulary: Sequence[str] = ()) -> Sequence[str]:
    """The utterance's keywords that its text holds; without them the vocabulary's; then its content words, or any."""
    words = _words(utterance)
    labelled = [keyword.lower() for keyword in utterance.labels.get("keywords") or ()]
    return (
        [keyword for keyword in labelled if is_said(keyword, words)]
        or _known(words, vocabulary)
        or [word for word in words if word not in STOP_WORDS]
        or words
    )


def _known(words: Sequence[str], vocabulary: Sequence[str]) -> list[str]:
    """Keywords of other utterances that are said here: words not said are drawn from the same."""
    known = {keyword.lower() for keyword in vocabulary}
    spans = (" ".join(words[start:end]) for start in range(len(words)) for end in range(start + 1, len(words) + 1))
    return list(dict.fromkeys(span for span in spans if span in known))


def draw_unsaid(rng: random.Random, utterance: Utterance, vocabulary: Sequence[str]) -> str:
    """A word of the vocabulary that is not said, nor is the beginning or a longer form of one that is.

    Raises:
        TaskError: If the vocabulary has none.
    """
    words = _words(utterance)
    for _ in range(NUM_TRIES if vocabulary else 0):
        keyword = rng.choice(vocabulary).lower()
        if not is_confusable(keyword, words):
            return keyword
    unsaid = [keyword.lower() for keyword in vocabulary if not is_confusable(keyword.lower(), words)]
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


def _words(utterance: Utterance) -> list[str]:
    return (utterance.text or "").lower().split()


KWS = KeywordSearch(
    name="kws",
    title="Keyword search",
    group="slu",
    prompts=PromptSet.load("kws"),
    requires=("text",),
    parser=label_parser(
        {"y": "yes", "true": "yes", "yes it is": "yes", "n": "no", "false": "no", "no it is not": "no"}
    ),
    labels=LabelSet("keyword_said", {"yes": "the word is said", "no": "the word is not said"}),
    constraint=OneOf,
    metrics=("balanced_accuracy", "accuracy"),
    version=2,  # 1 asked of unlabelled clips for any content word, which no clip was asked for in vain
)
