"""What both foundations take from the spoken world: its labels, its words, and the tokenizer over them."""

from __future__ import annotations

import random
from collections.abc import Iterator

from transformers import PreTrainedTokenizerFast

from speechverse.errors import CheckpointError
from speechverse.foundations.practice import SYLLABLES, Practice
from speechverse.foundations.recipe import TokenizerRecipe
from speechverse.foundations.text_side import TextSide, world_words
from speechverse.foundations.tokenizer import train_tokenizer
from speechverse.seeding import rng_for
from speechverse.synth.corpus import label_inventory
from speechverse.tasks import LabelSet


def label_sets() -> dict[str, LabelSet]:
    """The world's label inventory as the tasks take it."""
    return {field: LabelSet(field, dict(labels)) for field, labels in label_inventory().items()}


def world_tokenizer(recipe: TokenizerRecipe) -> PreTrainedTokenizerFast:
    """The tokenizer both foundations share; the same recipe gives the same one, so each can make it for itself.

    Raises:
        CheckpointError: If the recipe names a folder without one.
    """
    if recipe.folder is not None:
        if not (recipe.folder / "tokenizer.json").is_file():
            raise CheckpointError(f"tokenizer.folder: '{recipe.folder}' holds no tokenizer.json")
        return PreTrainedTokenizerFast.from_pretrained(recipe.folder)
    return train_tokenizer(_texts(recipe), recipe.vocab_size)


def _texts(recipe: TokenizerRecipe) -> Iterator[str]:
    """Sentences, questions, answers; labels with descriptions; pseudo-words, so that parts of words are known too."""
    labels = label_sets()
    world = TextSide(labels, "train", recipe.seed, recipe.sentences)
    rng = rng_for(recipe.seed, "tokenizer")
    for utterance in world.utterances:
        yield utterance.text or ""
    for _ in range(recipe.sentences):
        question = world.draw(rng)
        yield from (question.instruction, question.target)
    yield from _practice(world, rng, recipe.sentences // 4)
    for label_set in labels.values():
        for name, description in label_set.descriptions.items():
            yield from [name] * 50
            yield description


def _practice(world: TextSide, rng: random.Random, count: int) -> Iterator[str]:
    practice = Practice(world_words(world.utterances), world.tasks["asr"].prompts.seen)
    for _ in range(count):
        yield practice.draw(rng).instruction
    yield from ("".join(rng.choices(SYLLABLES, k=3)) for _ in range(count))
