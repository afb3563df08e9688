"""A microscopic random checkpoint that knows letters only."""

from __future__ import annotations

from pathlib import Path

import pytest

from microscopic import save_letters_checkpoint


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = save_letters_checkpoint(tmp_path_factory.mktemp("parts"), max_audio_seconds=2.0)
    (folder / "recipe.yaml").write_text("name: tried\n")
    return folder
