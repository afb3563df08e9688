"""A microscopic model behind a real server on a local port, one server for each file."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from microscopic import save_letters_checkpoint
from served import Served, serving
from speechverse import SpeechVerse


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> SpeechVerse:
    folder = save_letters_checkpoint(tmp_path_factory.mktemp("parts"), max_audio_seconds=2.0)
    return SpeechVerse.from_pretrained(folder, "cpu")


@pytest.fixture(scope="module")
def served(model: SpeechVerse) -> Iterator[Served]:
    with serving(model, max_seconds=20.0, decoders=1) as running:
        yield running
