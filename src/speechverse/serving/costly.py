"""Small requests that would cost much: schemas are measured, and patterns tried in a process with
limits, before they are compiled in this one, where nothing could interrupt it.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from functools import lru_cache
from threading import Lock
from typing import Any

from speechverse.decoding.patterns import compiled_from
from speechverse.errors import UserError
from speechverse.protocols import Processor
from speechverse.serving.limits import environment

MAX_NODES = 2_000
"""Values in a schema when its references are written out."""
PATTERN_SECONDS = 10
"""Of processor time that a pattern may take to compile."""
PATTERN_MEMORY = 2**30
"""Bytes that it may take."""

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
    limits = map(str, (PATTERN_MEMORY, PATTERN_SECONDS))
    with _ONE_AT_A_TIME:
        tried = subprocess.run(
            [sys.executable, "-m", "speechverse.serving.compiler", *limits],
            input=len(regex.encode()).to_bytes(8, "big") + regex.encode() + vocabulary,
            stderr=subprocess.DEVNULL,
            env=environment(),
            start_new_session=True,
            check=False,
        )
    return tried.returncode == 0


def check_schema(schema: Mapping[str, Any]) -> None:
    """Raises a UserError for a JSON schema that becomes too long when it is written out."""
    if _nodes(schema, schema, {}) > MAX_NODES:
        raise UserError(
            f"the JSON schema has more than {MAX_NODES:,} values when its references are written"
            " out: use fewer"
        )


def _nodes(value: Any, schema: Mapping[str, Any], known: dict[str, int | None]) -> int:
    """Values in a value; `known` has those of each reference, None while it is being counted."""
    if isinstance(value, list):
        return sum(_nodes(one, schema, known) for one in value)
    if not isinstance(value, dict):
        return 1
    nodes = sum(_nodes(one, schema, known) for name, one in value.items() if name != "$defs")
    reference = value.get("$ref")
    if not isinstance(reference, str):
        return 1 + nodes
    if reference not in known:
        known[reference] = None
        known[reference] = _nodes(_found(reference, schema), schema, known)
    if (size := known[reference]) is None:
        raise UserError(f"the JSON schema's '{reference}' holds itself; bound its depth instead")
    return 1 + nodes + size


def _found(reference: str, schema: Any) -> Any:
    for name in reference.removeprefix("#").split("/")[1:]:
        schema = schema.get(name) if isinstance(schema, dict) else None
    return schema
