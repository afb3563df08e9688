"""Small requests that would cost much: patterns and schemas are tried in a process with limits
before they are compiled in this one, where nothing could interrupt it.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from functools import lru_cache
from threading import Lock
from typing import Any

from speechverse.decoding.patterns import MAX_PATTERN, compiled_from
from speechverse.errors import UserError
from speechverse.protocols import Processor
from speechverse.serving.limits import environment

SECONDS = 10
"""Of processor time that a pattern may take to compile."""
MEMORY = 2**30
"""Bytes that it may take."""
MAX_SCHEMA = 2**17
"""Characters of a JSON schema, its notes with them: those found good are remembered."""

_ONE_AT_A_TIME = Lock()


def check_pattern(pattern: str, processor: Processor) -> None:
    """Raises a UserError for a pattern that takes too much time or memory to compile."""
    if not _is_cheap(pattern, processor.tokenizer, processor.end_token_id):
        raise UserError(
            "the pattern takes more time or memory to follow than is allowed here: give one with"
            " fewer repetitions and alternatives"
        )


@lru_cache(maxsize=256)
def _is_cheap(pattern: str, tokenizer: Any, end: int) -> bool:
    regex, vocabulary = compiled_from(pattern, tokenizer, end)
    written = regex.encode()
    return _passes(len(written).to_bytes(8, "big") + written + vocabulary)


def check_schema(schema: Mapping[str, Any]) -> None:
    """Raises a UserError for a JSON schema that is too long, or becomes it when written out."""
    length = len(json.dumps(schema, ensure_ascii=False))
    if length > MAX_SCHEMA:
        raise UserError(
            f"the JSON schema has {length:,} characters; at most {MAX_SCHEMA:,} are read"
        )
    if not _is_short(json.dumps(schema)):
        raise UserError(
            "the JSON schema becomes too long when it is written out: use fewer optional properties"
            " and references, and less depth"
        )


@lru_cache(maxsize=256)
def _is_short(schema: str) -> bool:
    return _passes(schema.encode(), str(MAX_PATTERN))


def _passes(given: bytes, *how: str) -> bool:
    limits = map(str, (MEMORY, SECONDS))
    with _ONE_AT_A_TIME:
        tried = subprocess.run(
            [sys.executable, "-m", "speechverse.serving.compiler", *limits, *how],
            input=given,
            stderr=subprocess.DEVNULL,
            env=environment(),
            start_new_session=True,
            check=False,
        )
    return tried.returncode == 0
