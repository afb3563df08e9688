"""What the claims measure on: a little spoken world, and the tiny foundations or random ones of their shapes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoModelForCTC, PreTrainedTokenizerFast

from speechverse.audio import Waveform, load, save
from speechverse.data import Corpus
from speechverse.foundations.features import front_end
from speechverse.foundations.lm_model import make_lm
from speechverse.foundations.objectives import body_config
from speechverse.foundations.recipe import EncoderRecipe, LmRecipe
from speechverse.foundations.recipe import load_recipe as load_foundation_recipe
from speechverse.foundations.saving import save_foundation
from speechverse.foundations.world import world_tokenizer
from speechverse.hub import BUILT_IN
from speechverse.models import SpeechVerseForConditionalGeneration
from speechverse.synth import SynthSpec, synthesize_corpus
from speechverse.training.build import build_model
from speechverse.training.recipe import Recipe
from speechverse.training.recipe_files import load_recipe, recipes_folder
from speechverse.types import SAMPLING_RATE


def world(folder: Path) -> Corpus:
    """A spoken world of one split, made when first asked for."""
    place = folder / "world"
    if not (place / "corpus.json").exists():
        synthesize_corpus(place, SynthSpec(num_train=240, num_dev=0, seed=11))
    return Corpus.open(place)


def tokenizer() -> PreTrainedTokenizerFast:
    """The tiny foundations' own."""
    return world_tokenizer(encoder_recipe().tokenizer)


def encoder_recipe() -> EncoderRecipe:
    """How the tiny encoder is made."""
    return load_foundation_recipe(recipes_folder() / "foundations" / "encoder-tiny.yaml", EncoderRecipe)


def _shipped(*names: str) -> bool:
    return all(BUILT_IN[name].is_dir() for name in names)


def weights(*, adapters: bool = False) -> str:
    """Which weights are measured on, by choice with those of the adapters."""
    told = "tiny foundations" if _shipped("tiny-encoder", "tiny-llm") else "random foundations of tiny's shapes"
    return told if not adapters else f"{told}, {'tiny' if _shipped('tiny') else 'untrained'} adapters"


def recipe(folder: Path, *overrides: str) -> Recipe:
    """The tiny recipe on this world, without validation; random foundations are made where there are no tiny ones."""
    world(folder)
    ours = [f"data.corpora.world.path={folder / 'world'}", "data.validation.every=null"]
    if not _shipped("tiny-encoder", "tiny-llm"):
        _make_foundations(folder)
        ours += [f"model.encoder={folder / 'encoder'}", f"model.llm={folder / 'llm'}"]
    return load_recipe("tiny", (*ours, *overrides))


def _make_foundations(folder: Path) -> None:
    if (folder / "llm").exists():
        return
    torch.manual_seed(0)
    shape, pieces = encoder_recipe().shape, tokenizer()
    lm_shape = load_foundation_recipe(recipes_folder() / "foundations" / "lm-tiny.yaml", LmRecipe).shape
    encoder = AutoModelForCTC.from_config(body_config(shape, pieces))
    save_foundation(folder / "encoder", encoder, pieces, "random", {}, front_end(shape.stride))
    save_foundation(folder / "llm", make_lm(lm_shape, pieces), pieces, "random", {})


def checkpoint(folder: Path) -> str:
    """The tiny model's name; else the folder of one with fresh adapters, made when first asked for."""
    if _shipped("tiny", "tiny-encoder", "tiny-llm"):
        return "tiny"
    place = folder / "model"
    if not (place / "config.json").exists():
        settings = recipe(folder)
        made = build_model(settings)
        assert settings.model is not None and settings.model.lora is not None
        made.add_lora(**settings.model.lora.model_dump())
        made.save_pretrained(place)
    return str(place)


def model(folder: Path) -> tuple[Any, Any]:
    """The tiny model with its processor, as shipped; else one with fresh adapters."""
    made = SpeechVerseForConditionalGeneration.from_pretrained(checkpoint(folder))
    return made.eval(), made.processor()


def clip(folder: Path, seconds: float) -> Path:
    """A spoken clip of exactly that length: the world's nearest, cut or filled up with silence."""
    place = folder / f"clip-{seconds:g}.wav"
    if not place.exists():
        spoken = [u for u in world(folder).utterances("train") if u.labels.get("is_speech")]
        samples = load(min(spoken, key=lambda u: abs(u.duration - seconds)).audio).samples
        size = round(seconds * SAMPLING_RATE)
        save(place, Waveform(np.pad(samples[:size], (0, max(0, size - len(samples))))))
    return place
