"""A microscopic random checkpoint that reads letters."""

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
    made = SpeechVerseForConditionalGeneration.from_foundations(root / "encoder", root / "llm", lora={"rank": 2})
    made.save_pretrained(root / "model")
    return root / "model"
