"""Recognition asked of the same clips with no hints, with right ones and with another clip's: what
hints are worth.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from speechverse.errors import TaskError
from speechverse.tasks.hints import MAX_RIGHT, telling_words, with_hints
from speechverse.tasks.parsing import Prediction, parse_text
from speechverse.tasks.prompts import PromptSet
from speechverse.tasks.spoken import NUM_TRIES, ByIdentity
from speechverse.tasks.task import Ask, Task
from speechverse.types import Example, Utterance

LABEL = "hints"
"""The field of an utterance that names the words to hint at; without it its rarest are taken."""

NO_HINTS, RIGHT, WRONG = "no hints", "right hints", "wrong hints"


@dataclass(frozen=True, kw_only=True)
class HintedRecognition(Task):
    """Recognition three times over: the variants differ in nothing but the hints.

    A prediction is the text twice, as `text` for WER and as `words` for the words hinted at.
    """

    def missing(self, utterance: Utterance) -> str | None:
        """As for any task; a clip must also have a word to hint at."""
        lack = Task.missing(self, utterance)
        has_words = utterance.labels.get(LABEL) or telling_words(utterance.text or "")
        return lack or (None if has_words else "it has no word to hint at")

    def variants(self, utterance: Utterance) -> tuple[str, ...]:
        return (NO_HINTS, RIGHT, WRONG)

    @property
    def part_metrics(self) -> tuple[str, ...]:
        """Both: what hints do to the words hinted at, and what to the rest."""
        return self.metrics

    def faults(self, utterance: Utterance, ask: Ask) -> dict[str, str]:
        """That no other text has words to hint at wrongly."""
        found = Task.faults(self, utterance, ask)
        try:
            self._other_words(utterance, ask)
        except TaskError as error:
            found[WRONG] = str(error)
        return found

    def finished(self, example: Example, ask: Ask) -> Example:
        """Asks in the same words whatever the hints, for they are drawn last."""
        utterance = example.utterance
        right = words_to_hint_at(utterance, ask.texts)
        hints = {NO_HINTS: [], RIGHT: right}.get(example.group)
        if hints is None:
            hints = self._other_words(utterance, ask)[: len(right)]
        return replace(
            example,
            id=example.id.replace(" ", "-"),
            instruction=with_hints(example.instruction, hints),
            reference={"text": example.reference["text"], "words": "\n".join(right)},
        )

    def parse(self, text: str, choices: Sequence[str] | None = None) -> Prediction:
        read = parse_text(text)
        return {"text": read, "words": read}

    def _other_words(self, utterance: Utterance, ask: Ask) -> list[str]:
        """Words of another text, none of which is said here.

        Raises:
            TaskError: If there is no such text.
        """
        said = (utterance.text or "").lower()
        for _ in range(NUM_TRIES if ask.texts else 0):
            other = rarest_words(ask.rng.choice(ask.texts), ask.texts)
            if unsaid := [word for word in other if word.lower() not in said]:
                return unsaid
        raise TaskError("no other text was found with a word that is not said here")


def words_to_hint_at(utterance: Utterance, texts: tuple[str, ...]) -> list[str]:
    """The words its label names, else its rarest."""
    named = utterance.labels.get(LABEL)
    return list(named) if named else rarest_words(utterance.text or "", texts)


def rarest_words(text: str, texts: tuple[str, ...]) -> list[str]:
    """At most `MAX_RIGHT` of the words that training hints at: those the fewest texts have, as they
    stand in this one.
    """
    counts = _num_texts_with(ByIdentity(texts))
    words = telling_words(text)
    kept = sorted(range(len(words)), key=lambda place: counts[words[place].lower()])[:MAX_RIGHT]
    return [words[place] for place in sorted(kept)]


@lru_cache(maxsize=16)
def _num_texts_with(key: ByIdentity) -> Counter[str]:
    return Counter(
        word for text in key.texts for word in {word.lower() for word in telling_words(text)}
    )


HINTS = HintedRecognition(
    name="hints",
    title="Recognition with hints",
    group="asr",
    prompts=PromptSet.load("asr"),
    requires=("text",),
    target=lambda utterance: utterance.text or "",
    metrics=("hinted_words", "hinted_wer"),
    baseline=NO_HINTS,
)
