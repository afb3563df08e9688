"""The folder of a feature cache: its description and its shards."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from speechverse.errors import AudioError, CacheError
from speechverse.types import Utterance

log = logging.getLogger(__name__)

FORMAT = 1
DESCRIPTION = "cache.json"


class CacheDiskError(CacheError):
    """A cache that the disk does not take; another folder, or no cache at all, helps."""


class CacheTooLargeError(CacheDiskError):
    """A cache that the disk has no room for, told before anything is encoded."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"{reason}; choose another folder, or do without a cache")


def entry_key(utterance: Utterance) -> str:
    """Names an entry by the audio's file, its size and time, and the part of it.

    Raises:
        AudioError: If the file is missing.
    """
    ref = utterance.audio
    try:
        status = os.stat(ref.path)
    except OSError as error:
        raise AudioError(f"the audio file {ref.path} is missing: {error.strerror}") from error
    told = (os.path.abspath(ref.path), ref.start, ref.duration, status.st_size, status.st_mtime_ns)
    return hashlib.blake2b(repr(told).encode(), digest_size=16).hexdigest()


def read_description(folder: Path) -> dict[str, Any] | None:
    path = folder / DESCRIPTION
    if not path.exists():
        if any(folder.glob("shard-*")):
            raise CacheError(
                f"{folder} holds shards but no {DESCRIPTION}; delete it and build the cache again"
            )
        return None
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
        if about["format"] != FORMAT:
            raise CacheError(
                f"{folder} has cache format {about['format']}; this version reads {FORMAT}:"
                " delete it"
            )
        return about
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CacheError(
            f"{path} is broken ({error}); delete the folder and build the cache again"
        ) from error


@contextlib.contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Words what a disk says that is full, read-only or not ours."""
    try:
        yield
    except (OSError, SafetensorError) as error:
        raise CacheDiskError(
            f"the feature cache {folder} cannot be written ({error}); free some space, choose"
            " another folder, or do without a cache"
        ) from error


def refuse_other_encoder(folder: Path, about: Mapping[str, Any], fingerprint: str) -> None:
    if about["fingerprint"] != fingerprint:
        raise CacheError(
            f"the feature cache {folder} was made by another encoder, other layers, other"
            f" preprocessing or in another precision (fingerprint {about['fingerprint'][:12]},"
            f" expected {fingerprint[:12]}); delete it, or choose another folder"
        )


def refuse_full_disk(folder: Path, size: int, num_clips: int) -> None:
    free = shutil.disk_usage(folder).free
    log.info("feature cache %s: %d clips, %.1f MB", folder, num_clips, size / 1e6)
    if size > free:
        raise CacheTooLargeError(
            f"the feature cache would take {size / 1e9:.1f} GB, {free / 1e9:.1f} GB are free at"
            f" {folder}"
        )


def shard_keys(shard: Path) -> list[str]:
    try:
        with safe_open(shard, framework="pt") as content:
            return list(content.keys())
    except (SafetensorError, OSError) as error:
        raise CacheError(
            f"{shard} is broken ({error}); delete it and build the cache again"
        ) from error
