"""A cache, a package index and parts of a test's own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from small_parts import source_in_two_wheels, whisper, whisper_files, whisper_variables, write_gguf

from speechverse.pretrained import known_parts
from speechverse.pretrained.known_parts import Part, Source


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache and an empty package index; nothing forbids the network, and nothing of it can
    be reached.
    """
    (tmp_path / "index").mkdir()
    for name in ("HF_HUB_OFFLINE", "SPEECHVERSE_OFFLINE", "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    monkeypatch.setenv("SPEECHVERSE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def index(tmp_path: Path) -> Path:
    """The folder that pip takes for its package index."""
    return tmp_path / "index"


@pytest.fixture
def add_part(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Part]:
    """Makes a part known for the time of a test."""

    def add(*sources: Source, layout: known_parts.Layout = "as it is") -> Part:
        part = Part("toy", "nothing at all", "nobody/toy", "MIT", layout, sources)
        monkeypatch.setitem(known_parts.KNOWN, "toy", part)
        return part

    return add


@pytest.fixture
def toy(add_part: Callable[..., Part], index: Path) -> Part:
    return add_part(source_in_two_wheels(index, "toy"))


@pytest.fixture
def whisper_folder(tmp_path: Path) -> Path:
    """A user's own CTranslate2 folder."""
    folder = tmp_path / "own-whisper"
    folder.mkdir()
    for name, content in whisper_files(whisper_variables(whisper())).items():
        (folder / name).write_bytes(content)
    return folder


@pytest.fixture
def gguf_file(tmp_path: Path) -> Path:
    """A microscopic Llama with 8-bit matrices, as llama.cpp would keep it."""
    return write_gguf(tmp_path / "own.gguf")
