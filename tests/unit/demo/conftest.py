"""A microscopic model that knows letters only, and a clip."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from microscopic import save_letters_checkpoint
from speechverse import SpeechVerse
from speechverse.audio import Waveform, save


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> SpeechVerse:
    folder = save_letters_checkpoint(tmp_path_factory.mktemp("parts"), max_audio_seconds=2.0)
    return SpeechVerse.from_pretrained(folder, "cpu")


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    noise = np.random.default_rng(0).standard_normal(12_000) * 0.1
    path = tmp_path_factory.mktemp("clips") / "clip.wav"
    save(path, Waveform(noise.astype(np.float32)))
    return path
