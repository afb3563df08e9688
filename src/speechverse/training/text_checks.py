"""What of a recipe's text the LLM cannot take, counted before the first step."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Sequence

from speechverse.data.mixture import Draw
from speechverse.data.plan import Length
from speechverse.errors import RecipeError
from speechverse.models import SpeechVerseProcessor
from speechverse.seeding import hash_seed
from speechverse.terminal import say
from speechverse.training.recipe import Recipe, StageSection
from speechverse.training.sources import Sources, why_unfit
from speechverse.types import Example

MAX_UNSPELT_SHARE = 0.05
"""Of targets with letters or digits that no piece stands for; other signs are only told of."""

LOOKED_AT = 2000
"""Targets of a corpus and task that are looked at, chosen by hash."""


def check_texts(
    recipe: Recipe,
    sources: Sources,
    processor: SpeechVerseProcessor,
    length_of: Callable[[StageSection], Length],
) -> None:
    """Looks through what all stages will train on and be validated on, before hours of training.

    Raises:
        RecipeError: If a corpus and task have more than 5 % targets that the tokenizer cannot
            spell.
        CorpusError: If a stage has no validation example that fits the model.
    """
    seen = set[str]()
    for stage in recipe.curriculum:
        length = length_of(stage)
        mixture = sources.mixture(stage)
        for number, source in enumerate(mixture.sources if stage.mixture not in seen else ()):
            drawn = [mixture.example(Draw(number, place, 0)) for place in _some(source.utterances)]
            _check_spelling(source.name, drawn, processor)
            _check_fit(source.name, drawn, length)
        seen.add(stage.mixture)
        if recipe.data.validation.every is not None:
            validated = [example for example, _ in sources.validation_examples(stage, length)]
            _check_spelling(f"validation of stage '{stage.name}'", validated, processor)


def _check_spelling(
    name: str, examples: Sequence[Example], processor: SpeechVerseProcessor
) -> None:
    targets = [(signs, e) for e in examples if (signs := processor.text.unspelt(e.target))]
    asked = [(signs, e) for e in examples if (signs := processor.text.unspelt(e.instruction))]
    words = [found for found in targets if _has_letters(found[0])]
    if len(words) > MAX_UNSPELT_SHARE * len(examples):
        raise RecipeError(
            f"{name}: the LLM's tokenizer cannot spell letters or digits of {len(words):,} of"
            f" {len(examples):,} targets, such as {_show(*words[0])}; at most"
            f" {MAX_UNSPELT_SHARE:.0%} may be such. Take an LLM that knows the language and its"
            " script, or leave these clips out"
        )
    if targets:
        say(
            f"  {name}: {len(targets):,} of {len(examples):,} targets hold what the LLM's tokenizer"
            f" cannot spell, such as {_show(*targets[0])}; it is learnt as unknown"
        )
    if asked:
        signs, example = asked[0]
        say(
            f"  {name}: the LLM's tokenizer cannot spell {signs!r} of instructions such as"
            f" {example.instruction!r}"
        )


def _has_letters(signs: str) -> bool:
    return any(unicodedata.category(sign)[0] in "LMN" for sign in signs)


def _show(signs: str, example: Example) -> str:
    return f"{signs!r} in {example.target!r} ({example.utterance.id})"


def _check_fit(name: str, examples: Sequence[Example], length: Length) -> None:
    unfit = [(example.id, reason) for example in examples if (reason := why_unfit(example, length))]
    if unfit:
        say(
            f"  {name}: {len(unfit):,} of {len(examples):,} examples do not fit the model and are"
            f" left out, such as {unfit[0][0]}: {unfit[0][1]}"
        )


def _some(items: Sequence[object]) -> Iterable[int]:
    """Places of at most `LOOKED_AT` items, chosen by hash: a manifest may come sorted."""
    places = range(len(items))
    if len(items) <= LOOKED_AT:
        return places
    return sorted(places, key=lambda place: hash_seed(0, "looked at", place))[:LOOKED_AT]
