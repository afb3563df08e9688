"""What every test shares: no network, few threads, and the way to the recordings of real people where they exist."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

os.environ["HF_HUB_OFFLINE"] = "1"
# Some tests fork in the middle of a run to kill it: a child of a process with OpenMP threads waits for ever.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

REAL_SPEECH = Path(__file__).resolve().parents[2] / "shared" / "speech"


@pytest.fixture(scope="session")
def real_speech() -> Path:
    """The folder with recordings of real people, beside the checkout; skips, visibly, where it is absent."""
    if not (REAL_SPEECH / "manifest.jsonl").is_file():
        pytest.skip(f"recordings of real people are not here ({REAL_SPEECH})")
    return REAL_SPEECH
