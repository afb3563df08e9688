"""What of a recipe's text the LLM cannot take, counted before the first step: unknown signs, and too many positions."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from speechverse.data import Mixture, measured_by
from speechverse.data.mixture import Draw
from speechverse.data.plan import Length
from speechverse.decoding.questions import default_limit
from speechverse.errors import AudioError, RecipeError
from speechverse.models import SpeechVerseProcessor
from speechverse.seeding import hash_seed
from speechverse.training.logs import say
from speechverse.training.recipe import Recipe, StageSection
from speechverse.training.sources import Sources
from speechverse.types import SAMPLING_RATE, Example

MAX_UNSPELT_SHARE = 0.05
"""Of a corpus and task, the share of targets with letters or digits that the LLM's tokenizer may have no pieces for.

Other signs (a dash, a quotation mark) are told of only.
"""

LOOKED_AT = 2000
"""Targets of a corpus and task that are looked at, chosen by hash; a smaller set is looked at whole."""


@dataclass
class Faults:
    """What was found among some examples of one source."""

    name: str
    count: int = 0
    unspelt: list[tuple[Example, str]] = field(default_factory=list)
    unread: dict[str, str] = field(default_factory=dict)
    unfit: dict[str, str] = field(default_factory=dict)

    def look_at(self, examples: Iterable[Example], processor: SpeechVerseProcessor, length: Length | None) -> None:
        """Counts the faults of some examples; without a length function, all of them fit."""
        for example in examples:
            self.count += 1
            if signs := processor.text.unspelt(example.target):
                self.unspelt.append((example, signs))
            if signs := processor.text.unspelt(example.instruction):
                self.unread[example.instruction] = signs
            if length is not None and (reason := _why_unfit(example, length)):
                self.unfit[example.id] = reason

    def lines(self) -> list[str]:
        """What is worth saying, a line each."""
        said = []
        if self.unspelt:
            example, signs = self.unspelt[0]
            said.append(
                f"{len(self.unspelt):,} of {self.count:,} targets hold what the LLM's tokenizer cannot spell, such as "
                f"{signs!r} in {example.target!r} ({example.utterance.id}); it is learnt as unknown"
            )
        if self.unread:
            instruction, signs = next(iter(self.unread.items()))
            said.append(f"the LLM's tokenizer cannot spell {signs!r} of instructions such as {instruction!r}")
        if self.unfit:
            name, reason = next(iter(self.unfit.items()))
            said.append(
                f"{len(self.unfit):,} of {self.count:,} examples do not fit the model and are left out, such as "
                f"{name}: {reason}"
            )
        return [f"  {self.name}: {line}" for line in said]

    def refuse_too_many(self) -> None:
        """Raises RecipeError if more targets than `MAX_UNSPELT_SHARE` have letters or digits that cannot be spelt."""
        worst = [found for found in self.unspelt if any(unicodedata.category(sign)[0] in "LMN" for sign in found[1])]
        if len(worst) > MAX_UNSPELT_SHARE * self.count:
            example, signs = worst[0]
            raise RecipeError(
                f"{self.name}: the LLM's tokenizer cannot spell letters or digits of {len(worst):,} of {self.count:,} "
                f"targets, such as {signs!r} in {example.target!r} ({example.utterance.id}); at most "
                f"{MAX_UNSPELT_SHARE:.0%} may be such. Take an LLM that knows the language and its script, or leave "
                "these clips out"
            )


def check_texts(recipe: Recipe, sources: Sources, processor: SpeechVerseProcessor, tell: bool = True) -> None:
    """Looks through what all stages will train on and be validated on, so that it is told before hours of training.

    Args:
        recipe: The run.
        sources: Its data.
        processor: The model's.
        tell: Whether this process says what is no mistake but should be known.

    Raises:
        RecipeError: If a corpus and task have more than 5 % targets that the tokenizer cannot spell.
        CorpusError: If a stage has no validation example that fits the model.
    """
    seen = set[str]()
    for stage in recipe.curriculum:
        length = measured_by(processor, stage.reads)
        found = [] if stage.mixture in seen else _of_mixture(sources.mixture(stage), processor, length)
        seen.add(stage.mixture)
        for faults in found:
            faults.refuse_too_many()
            for line in faults.lines():
                say(line, tell)
        if recipe.data.validation.every is not None:
            _check_validation(recipe, sources, stage, processor, length, tell)


def _of_mixture(mixture: Mixture, processor: SpeechVerseProcessor, length: Length) -> list[Faults]:
    found = []
    for number, source in enumerate(mixture.sources):
        faults = Faults(source.name)
        drawn = (mixture.example(Draw(number, place, 0)) for place in _some(source.utterances))
        faults.look_at(drawn, processor, length)
        found.append(faults)
    return found


def _some(items: Sequence[object]) -> Iterable[int]:
    """Places of at most `LOOKED_AT` items, chosen by hash: a manifest may come sorted."""
    places = range(len(items))
    if len(items) <= LOOKED_AT:
        return places
    return sorted(places, key=lambda place: hash_seed(0, "looked at", place))[:LOOKED_AT]


def _check_validation(
    recipe: Recipe, sources: Sources, stage: StageSection, processor: SpeechVerseProcessor, length: Length, tell: bool
) -> None:
    """Says which validation targets cannot be spelt, and how many answers the LLM's positions will hold short."""
    examples = [example for example, _ in sources.validation_examples(stage, length, tell=False)]
    faults = Faults(f"validation of stage '{stage.name}'")
    faults.look_at(examples, processor, None)
    for line in faults.lines():
        say(line, tell)
    wanted, held = recipe.decoding.max_new_tokens, 0
    for example in examples if recipe.data.validation.decoded else ():
        seconds = example.utterance.duration
        prompt, _ = processor.lengths(example.instruction, num_samples=round(seconds * SAMPLING_RATE))
        room = processor.room(prompt)
        held += room is not None and room < (wanted or default_limit(seconds))
    if held:
        say(
            f"  stage '{stage.name}': {held:,} of {len(examples):,} validation answers get fewer tokens than "
            f"decoding.max_new_tokens ({wanted or 'by the length of the audio'}) allows: the LLM has "
            f"{processor.config.llm_max_positions} positions",
            tell,
        )


def _why_unfit(example: Example, length: Length) -> str | None:
    """Why the plan will leave an example out (too long, too short, no transcript to read); None if it will not."""
    try:
        length(example)
    except AudioError as error:
        return str(error)
    return None
