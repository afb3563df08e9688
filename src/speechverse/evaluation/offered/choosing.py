"""Choosing among offered labels: the LLM in its three ways, and rules that read a transcript without it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from speechverse.decoding import DecodingOptions
from speechverse.evaluation.clips import Watch
from speechverse.evaluation.offered.lists import TASK, Offer
from speechverse.evaluation.systems import Parts, System, make_systems
from speechverse.tasks import get_task
from speechverse.world.language.overlap import credit, shared_words
from speechverse.world.language.word_vectors import world_vectors

_DECODING = {
    "greedy": DecodingOptions(),
    "scored": DecodingOptions(choice_mode="score", choice_scoring="length"),
    "prior subtracted": DecodingOptions(choice_mode="score", choice_scoring="prior"),
}
_RULES: dict[str, Callable[[str, Sequence[str]], list[float]]] = {
    "word overlap": shared_words,
    "word vectors": lambda said, texts: world_vectors().similarities(said, texts),
}
CHOOSERS = (*_DECODING, *_RULES)
"""Ways to choose a label: the LLM's three, and two rules that read a transcript without it."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One list answered in one way.

    Attributes:
        offer: What was asked.
        system: Who answered, or whose transcript a rule read.
        chooser: The way, one of `CHOOSERS`.
        credit: 1 if right, 0 if wrong, a share where a rule's best labels tie.
        answer: What was chosen; None where a rule's best labels tie.
        transcript: What was read; None where the clip was heard.
        scores: Of each choice, where they were scored.
    """

    offer: Offer
    system: str
    chooser: str
    credit: float
    answer: str | None
    transcript: str | None
    scores: Mapping[str, float] | None

    def record(self) -> dict[str, Any]:
        """As it is written."""
        example = self.offer.example
        return {
            "clip": example.utterance.id,
            "stratum": self.offer.stratum,
            "listing": self.offer.listing,
            "system": self.system,
            "chooser": self.chooser,
            "instruction": example.instruction,
            "reference": example.target,
            "answer": self.answer,
            "credit": self.credit,
            "transcript": self.transcript,
            "scores": self.scores,
        }


def choose(
    parts: Parts, offers: Sequence[Offer], systems: Sequence[str], watch: Watch
) -> tuple[list[Choice], list[str]]:
    """Has every system choose in every way; rules choose beside the systems that stand on a transcript.

    Args:
        parts: What the systems are built from; each way to choose brings its own options.
        offers: What is asked.
        systems: Names of systems.
        watch: Told of progress, by system and way.

    Returns:
        Every choice made, and why others were not.
    """
    examples = [offer.example for offer in offers]
    choices: list[Choice] = []
    notes: list[str] = []
    total = len(systems) * len(_DECODING)
    for place, name in enumerate(systems):
        said: list[Choice] = []
        for step, (chooser, options) in enumerate(_DECODING.items()):
            (system,) = make_systems([name], replace(parts, options=options))
            if lack := system.missing(examples):
                notes.append(f"{name}: not measured: {lack}")
                break
            watch(place * len(_DECODING) + step, total, f"{name} · {chooser}")
            said = _answered(system, chooser, offers)
            choices += said
        choices += [choice for rule in _RULES for choice in _by_rule(rule, said)]
    watch(total, total, "done")
    return choices, notes


def _answered(system: System, chooser: str, offers: Sequence[Offer]) -> list[Choice]:
    task, made = get_task(TASK), []
    answers = system.answer([offer.example for offer in offers])
    for offer, answer in zip(offers, answers, strict=True):
        right = task.parse(answer.text, offer.example.choices) == offer.example.reference
        scores = answer.choice_scores
        made.append(Choice(offer, system.name, chooser, float(right), answer.text, answer.transcript, scores))
    return made


def _by_rule(rule: str, read: Sequence[Choice]) -> Iterator[Choice]:
    """What a rule chooses from the transcripts that a system stood on, if it stood on any."""
    for choice in read:
        if choice.transcript is None:
            continue
        offer = choice.offer
        scores = _RULES[rule](choice.transcript, offer.texts)
        named = dict(zip(offer.example.choices or (), scores, strict=True))
        best = [name for name, score in named.items() if score == max(scores)]
        answer = best[0] if len(best) == 1 else None
        yield Choice(offer, choice.system, rule, credit(scores, offer.right), answer, choice.transcript, named)
