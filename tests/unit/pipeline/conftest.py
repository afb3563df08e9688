"""A microscopic random checkpoint that knows letters only."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from microscopic import byte_level, save_conformer, t5
from speechverse.models import SpeechVerseForConditionalGeneration


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("parts")
    letters = byte_level([], ["<pad>", "</s>"])
    torch.manual_seed(0)
    save_conformer(root / "encoder")
    t5(len(letters)).save_pretrained(root / "llm")
    letters.save_pretrained(root / "llm")
    model = SpeechVerseForConditionalGeneration.from_foundations(root / "encoder", root / "llm", max_audio_seconds=2.0)
    model.save_pretrained(root / "model")
    (root / "model" / "recipe.yaml").write_text("name: tried\n")
    return root / "model"
