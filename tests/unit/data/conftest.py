from __future__ import annotations

from pathlib import Path

import pytest
from noise_corpus import utterances, write_audio

from speechverse.data import Corpus, write_corpus


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    """A corpus folder with sound: 40 utterances to train on, 10 to test."""
    folder = tmp_path / "world"
    (folder / "audio").mkdir(parents=True)
    train = write_audio(utterances(folder / "audio", 40, seconds=(0.2, 0.8)))
    test = write_audio(utterances(folder / "audio", 10, seconds=(0.2, 0.8), prefix="t"))
    return write_corpus(folder, "world", {"train": train, "test": test}, extra={"seed": 3})
