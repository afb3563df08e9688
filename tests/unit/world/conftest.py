from __future__ import annotations

import pytest

from speechverse.world import corpus

pytest.importorskip("espeakng_loader")


@pytest.fixture
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shards of four clips, so that a small corpus has several."""
    monkeypatch.setattr(corpus, "SHARD_SIZE", 4)
