"""Small requests that would cost much: patterns and schemas are measured before they are compiled,
which nothing could interrupt.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from speechverse.errors import UserError

MAX_SIGNS = 2_000
"""Characters that a pattern has when its repetitions are written out; what may follow without end
counts once.
"""
MAX_NODES = 2_000
"""Values in a schema when its references are written out."""


def check_pattern(pattern: str) -> None:
    """Raises a UserError for a pattern that takes too long to compile, or is none."""
    try:
        # The library's own parser, which none of its public functions gives.
        parsed = re._parser.parse(pattern)  # type: ignore[attr-defined]
    except (re.error, RecursionError, OverflowError) as error:
        raise UserError(f"this cannot be followed as a regular expression: {error}") from error
    if (signs := _signs(parsed)) > MAX_SIGNS:
        raise UserError(
            f"the pattern has {signs:,} characters when its repetitions are written out; at most"
            f" {MAX_SIGNS:,} are followed here: bound it more tightly, or by * or + not at all"
        )


def _signs(parsed: Any) -> int:
    return sum(_signs_of(operation, value) for operation, value in parsed)


def _signs_of(operation: Any, value: Any) -> int:
    if str(operation) in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
        least, most, repeated = value
        times = least + 1 if most == re._constants.MAXREPEAT else most  # type: ignore[attr-defined]
        return int(times) * max(1, _signs(repeated))
    if str(operation) == "BRANCH":
        return sum(map(_signs, value[1]))
    if str(operation) in ("SUBPATTERN", "ATOMIC_GROUP"):
        return _signs(value if str(operation) == "ATOMIC_GROUP" else value[-1])
    return 1


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
