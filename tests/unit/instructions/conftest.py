"""A microscopic random checkpoint that reads letters."""

from __future__ import annotations

from pathlib import Path

import pytest

from microscopic import save_letters_checkpoint


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_letters_checkpoint(tmp_path_factory.mktemp("parts"), lora={"rank": 2})
