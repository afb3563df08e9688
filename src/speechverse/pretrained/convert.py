"""Published files to folders that load, each converted once and kept in the cache."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from speechverse.errors import CheckpointError, no_room
from speechverse.files import atomic_folder, locked
from speechverse.pretrained import ctranslate2, gguf
from speechverse.pretrained.known_parts import Layout, published_hash
from speechverse.pretrained.places import cache_folder
from speechverse.pretrained.record import file_hash, is_whole, write_record
from speechverse.seeding import fingerprint

_PATIENCE = 3600.0
"""Seconds to wait for another run that fetches or converts the same part."""


@contextlib.contextmanager
def one_at_a_time(folder: Path) -> Iterator[None]:
    """Waits for other runs that make the same folder of the cache."""
    busy = CheckpointError(
        f"another run has been making '{folder}' for an hour; end it and try again"
    )
    with contextlib.ExitStack() as held:
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            held.enter_context(locked(folder.with_name(f".{folder.name}.lock"), busy, _PATIENCE))
        except OSError as error:
            if no_room(error):
                raise
            raise CheckpointError(
                f"the cache '{folder.parent}' cannot be written to ({error.strerror or error}); set"
                " SPEECHVERSE_CACHE to a folder that can"
            ) from error
        yield


def convert(layout: Layout, source: Path, folder: Path, *, name: str | None, sha256: str) -> None:
    """Makes a folder, whole or absent, from a part's files (of a GGUF, from the file).

    Raises:
        CheckpointError: If the files are broken or of an unknown kind.
        DiskFullError: If there is no room.
    """
    with atomic_folder(folder) as scratch:
        if layout == "ctranslate2":
            ctranslate2.write_whisper_folder(source, scratch)
        elif layout == "gguf":
            gguf.write_llm_folder(source, scratch)
        else:
            shutil.copytree(source, scratch, dirs_exist_ok=True)
        _make_readable(scratch)
        write_record(scratch, name, sha256)


def _make_readable(folder: Path) -> None:
    """Gives files the user's usual mode; safetensors writes files nobody else can read."""
    mask = os.umask(0)
    os.umask(mask)
    for file in folder.rglob("*"):
        if file.is_file():
            file.chmod(0o666 & ~mask)


def convertible(path: Path) -> Layout | None:
    """What a user's own file or folder would be converted from; None if it is taken as it is."""
    if path.is_dir():
        return "ctranslate2" if ctranslate2.is_ctranslate2(path) else None
    return "gguf" if gguf.is_gguf(path) else None


def converted(path: Path, layout: Layout) -> Path:
    """The folder in the cache, named by hash, that a user's own file or folder is converted to.

    Raises:
        CheckpointError: If it is broken or of an unknown kind.
    """
    weights = file_hash(path / ctranslate2.WEIGHTS if layout == "ctranslate2" else path)
    folder, sha256 = cache_folder() / "converted" / _name_of(path, weights), published_hash(weights)
    if not is_whole(folder, sha256):  # a cache that others filled may be read-only
        with one_at_a_time(folder):
            if not is_whole(folder, sha256):
                convert(layout, path, folder, name=None, sha256=sha256)
    return folder


def _name_of(path: Path, weights: str) -> str:
    """A hash of the tokenizer files too: one that was added or mended has to count."""
    if path.is_file():
        return weights
    beside = sorted(file for pattern in ("*.json", "vocabulary.txt") for file in path.glob(pattern))
    told = "\n".join([weights, *(f"{file.name} {file_hash(file)}" for file in beside)])
    return fingerprint(told)
