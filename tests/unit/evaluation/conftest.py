"""A microscopic random model with a CTC head under it, and a corpus of a few noises with every
label.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from microscopic import byte_level, save_conformer, t5
from speechverse.audio import Waveform, save
from speechverse.data import Corpus, write_corpus
from speechverse.models import SpeechVerseForConditionalGeneration
from speechverse.types import AudioRef, Utterance

SENTENCES = ("play some jazz", "turn the light off", "what is the time", "call my mother now", "")


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved checkpoint with random parts."""
    root = tmp_path_factory.mktemp("checkpoint")
    pieces = byte_level(SENTENCES * 3, ["<pad>", "</s>"], 300)
    torch.manual_seed(0)
    save_conformer(root / "encoder", vocab_size=len(pieces), pad_token_id=pieces.pad_token_id)
    pieces.save_pretrained(root / "encoder")
    t5(len(pieces)).save_pretrained(root / "llm")
    pieces.save_pretrained(root / "llm")
    model = SpeechVerseForConditionalGeneration.from_foundations(
        root / "encoder",
        root / "llm",
        layer_mixing="softmax",
        lora={"rank": 2},
        max_audio_seconds=4.0,
    )
    model.save_pretrained(root / "model")
    (root / "model" / "recipe.yaml").write_text("name: tried\n")
    return root / "model"


@pytest.fixture(scope="session")
def loaded(checkpoint: Path) -> Any:
    model = SpeechVerseForConditionalGeneration.from_pretrained(checkpoint)
    return model, model.processor()


def utterances(folder: Path, split: str, seconds: float = 0.6) -> list[Utterance]:
    draw, made = np.random.default_rng(len(split)), []
    for number, text in enumerate(SENTENCES):
        samples = draw.standard_normal(round(seconds * 16_000)).astype(np.float32) * 0.1
        path = save(folder / "audio" / split / f"{number}.wav", Waveform(samples))
        labels = {
            "intent": ("play_music", "switch_light", "get_time", "call")[number % 4],
            "slots": [["genre", "jazz"]] if number == 0 else [],
            "keywords": text.split()[:2],
            "translations": {"de": f"bitte {text}", "fr": f"svp {text}"},
            "emotion": ("happy", "sad", "angry", "neutral")[number % 4],
            "sentiment": ("positive", "negative")[number % 2],
            "accent": ("american", "british")[number % 2],
            "num_speakers": 1 + number % 2,
            "is_speech": bool(text),
            "stratum": ("grammar", "names")[number % 2],
        }
        made.append(
            Utterance(
                f"{split}-{number}",
                AudioRef(path),
                len(samples) / 16_000,
                text,
                f"s{number}",
                "en",
                labels,
            )
        )
    return made


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    folder = tmp_path_factory.mktemp("corpus")
    for split in ("train", "test"):
        (folder / "audio" / split).mkdir(parents=True)
    splits = {split: utterances(folder, split) for split in ("train", "test")}
    return write_corpus(folder, "noises", splits, extra={"seed": 0})
