"""What every test shares: no network, few threads, and the way to the recordings of real people
where they exist.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from taught import Taught

os.environ["HF_HUB_OFFLINE"] = "1"
# Some tests fork in the middle of a run to kill it: a child of a process with OpenMP threads waits
# for ever.
os.environ["OMP_NUM_THREADS"] = "1"
# The ledger of what was measured on is the user's.
_state = tempfile.TemporaryDirectory(prefix="speechverse-state-")
os.environ["XDG_STATE_HOME"] = _state.name
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

REAL_SPEECH = Path(__file__).resolve().parents[2] / "shared" / "speech"


@pytest.fixture(scope="session")
def real_speech() -> Path:
    """The folder with recordings of real people, beside the checkout; skips, visibly, where it is
    absent.
    """
    if not (REAL_SPEECH / "manifest.jsonl").is_file():
        pytest.skip(f"recordings of real people are not here ({REAL_SPEECH})")
    return REAL_SPEECH


@pytest.fixture(scope="session")
def taught(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Taught:
    """A microscopic Whisper, LLM and model that have learned a small language (see `taught.py`)."""
    from taught import taught_in

    cache = getattr(request.config, "cache", None)  # none with -p no:cacheprovider
    return taught_in(cache.mkdir("taught") if cache else tmp_path_factory.mktemp("taught"))


@pytest.fixture
def files_up_to() -> Callable[[int], AbstractContextManager[None]]:
    """A disk that really fails: within the block, here and in child processes, no file grows over
    so many bytes.
    """
    resource = pytest.importorskip("resource")

    @contextmanager
    def limited(size: int) -> Iterator[None]:
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    return limited


@pytest.fixture(autouse=True)
def what_is_the_users_stays_in_its_test(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a user's file adds is known for the whole process: examples that run here would hand it
    to later tests.
    """
    from speechverse.metrics import METRICS
    from speechverse.registry import SYSTEMS
    from speechverse.tasks import TASKS

    for registry in (TASKS, METRICS, SYSTEMS):
        monkeypatch.setattr(registry, "own", {})
