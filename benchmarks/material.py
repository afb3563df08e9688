"""What the claims measure on: a little spoken world, and the model `small` with its parts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from speechverse.audio import Waveform, load, save
from speechverse.data import Corpus
from speechverse.decoding import Question
from speechverse.models import SpeechVerseForConditionalGeneration
from speechverse.tasks import OneOf
from speechverse.training.recipe import Recipe
from speechverse.training.recipe_files import load_recipe
from speechverse.types import SAMPLING_RATE
from speechverse.world import SynthSpec, synthesize_corpus
from speechverse.world.language import inventory


def world(folder: Path) -> Corpus:
    """A spoken world of one split, made when first asked for."""
    place = folder / "world"
    if not (place / "corpus.json").exists():
        synthesize_corpus(place, SynthSpec(num_train=240, num_dev=0, seed=11))
    return Corpus.open(place)


MODEL = "small"
"""The model's name."""
FROZEN_PARTS = "whisper-base, smollm2-135m-instruct"
_PARTS = (
    "model.encoder=whisper-base",
    "model.llm=smollm2-135m-instruct",
    "model.lora.targets=all-linear",
)
_FOR_TWO_CORES = ("data.batch={max_positions: 3000, max_examples: 8}", "data.workers=0")


def recipe(folder: Path, *overrides: str) -> Recipe:
    """The recipe `laptop` on the frozen parts of `small` and on this world, without validation."""
    world(folder)
    ours = [f"data.corpora.world.path={folder / 'world'}", "data.validation={every: null}"]
    return load_recipe("laptop", (*ours, *_PARTS, *_FOR_TWO_CORES, *overrides))


def model() -> tuple[Any, Any]:
    """The model with its processor."""
    made = SpeechVerseForConditionalGeneration.from_pretrained(MODEL)
    return made.eval(), made.processor()


INSTRUCTION = "What is the intent of the speaker?"


def questions(folder: Path, processor: Any, num: int, num_labels: int = 0) -> list[Question]:
    """One instruction about each of the first clips, to be answered by one of so many labels; 0
    leaves them free.
    """
    constraint = OneOf(labels(num_labels)) if num_labels else None
    spoken = [one for one in world(folder).utterances("train") if one.text][:num]
    return [
        Question(
            INSTRUCTION,
            processor.num_positions(INSTRUCTION, num_samples=round(one.duration * SAMPLING_RATE)),
            samples=lambda clip=one.audio: load(clip).samples,  # type: ignore[misc]
            constraint=constraint,
            seconds=one.duration,
        )
        for one in spoken
    ]


def labels(num: int) -> tuple[str, ...]:
    """The first intents of the spoken world, by name."""
    return tuple(sorted(inventory(held_out=True)["intent"])[:num])


def clip(folder: Path, seconds: float) -> Path:
    """A spoken clip of exactly that length: the world's nearest, cut or filled up with silence."""
    place = folder / f"clip-{seconds:g}.wav"
    if not place.exists():
        spoken = [u for u in world(folder).utterances("train") if u.labels.get("is_speech")]
        samples = load(min(spoken, key=lambda u: abs(u.duration - seconds)).audio).samples
        size = round(seconds * SAMPLING_RATE)
        save(place, Waveform(np.pad(samples[:size], (0, max(0, size - len(samples))))))
    return place
