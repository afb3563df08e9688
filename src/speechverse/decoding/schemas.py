"""JSON schemas as regular expressions of the JSON texts that they allow, by `outlines_core`.

It passes over what it does not know. Here that is refused: an answer keeps to all of its schema.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from speechverse.errors import UserError

_NOTES = {
    *("$comment", "$defs", "$id", "$schema", "default", "definitions", "deprecated"),
    *("description", "discriminator", "examples", "readOnly", "title", "writeOnly"),
}
"""Say nothing of what a text may be."""

_BESIDE = {
    "properties": {"type", "required", "additionalProperties"},
    "allOf": set[str](),
    "anyOf": set[str](),
    "oneOf": set[str](),
    "prefixItems": {"type", "items", "minItems", "maxItems"},
    "enum": {"type"},
    "const": {"type"},
    "$ref": set[str](),
}
"""What decides alone → what may stand beside it."""

_BOUNDS = {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}
_OF_TYPE: Mapping[str, tuple[set[str], ...]] = {
    "string": ({"minLength", "maxLength"}, {"pattern"}, {"format"}),
    "integer": (_BOUNDS, {"minDigits", "maxDigits"}),
    "number": (
        {
            f"{end}Digits{of}"
            for end in ("min", "max")
            for of in ("Integer", "Fraction", "Exponent")
        },
    ),
    "array": ({"items", "minItems", "maxItems"},),
    "object": ({"additionalProperties", "minProperties", "maxProperties"},),
    "boolean": (),
    "null": (),
}
"""Of one of these sets, what may stand beside a type."""

_FORMATS = ("date", "date-time", "time", "uuid")
"""Whose texts are JSON as they stand: an address may have quotation marks."""

_NOT_IN_JSON = re.compile(r'["\\\x00-\x1f]')
_PATTERN_PART = re.compile(r"\\.|\[(?:\\.|[^\]\\])+\]|.", re.DOTALL)
_OPERATORS = frozenset("()|?*+{}^$,:=!<>")

_MOST_WRITTEN = 1_000
"""Integers that are written out one by one."""


def pattern_of_schema(schema: str | Mapping[str, Any]) -> str:
    """The regular expression of the JSON texts that a schema allows, on one line.

    Raises:
        UserError: If it is no schema, or says what cannot be kept to.
    """
    from outlines_core.json_schema import build_regex_from_schema

    try:
        whole = json.loads(schema) if isinstance(schema, str) else json.loads(json.dumps(schema))
    except (TypeError, ValueError) as error:
        raise _unfit(f"it is no JSON: {error}") from error
    if not isinstance(whole, dict):
        raise _unfit(f"it is {whole!r}, not an object such as {{'type': 'object', ...}}")
    integers = dict[str, str]()
    for where, part in _parts(whole):
        _check(where, part)
        if part.get("type") == "integer" and _BOUNDS & part.keys():
            stand_in = _number_not_in(json.dumps(whole))
            integers[stand_in] = _integers(where, part)
            part.clear()
            part["const"] = int(stand_in)
    try:
        pattern = str(build_regex_from_schema(json.dumps(whole)))
    except Exception as error:  # whatever Rust says: a bad schema is the user's
        raise _unfit(str(error)) from error
    for stand_in, written in integers.items():
        pattern = pattern.replace(stand_in, f"({written})")
    return pattern


def _unfit(why: str) -> UserError:
    return UserError(f"the JSON schema cannot be followed: {why}")


def _parts(whole: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each schema in a schema, with where it stands."""
    left: list[tuple[str, Any]] = [("the schema", whole)]
    while left:
        where, part = left.pop()
        if not isinstance(part, dict):
            continue  # what it is wanted for says what it may be
        for key in ("properties", "$defs", "definitions"):
            if isinstance(found := part.get(key), dict):
                left += [(f"'{name}'", one) for name, one in found.items()]
        for key in ("anyOf", "oneOf", "allOf", "prefixItems"):
            if isinstance(found := part.get(key), list):
                left += [(f"{where}, {key}", one) for one in found]
        for key in ("items", "additionalProperties"):
            left.append((f"{where}, {key}", part.get(key)))
        yield where, part


def _check(where: str, part: dict[str, Any]) -> None:
    """Raises a UserError for what would be passed over, or would let come what is no JSON."""
    said = part.keys() - _NOTES
    deciding = [key for key in _BESIDE if key in said]
    if deciding:
        unkept = said - {deciding[0]} - _BESIDE[deciding[0]]
    else:
        unkept = said - {"type"} - _kept_of_type(part)
    if unkept:
        beside = f" beside '{deciding[0]}'" if deciding else ""
        raise _unfit(
            f"{where} has {', '.join(map(repr, sorted(unkept)))}{beside}, which answers cannot be"
            " made to keep to; leave it out"
        )
    if len(part.get("allOf", ())) > 1:
        raise _unfit(f"{where} has 'allOf' of several; write them as one")
    if "prefixItems" in said:
        number = len(part["prefixItems"])
        if not part.get("minItems", 0) <= number <= part.get("maxItems", number):
            raise _unfit(f"{where} has {number} 'prefixItems', but wants fewer or more items")
    if "enum" in said and not part["enum"]:
        raise _unfit(f"{where} has an empty 'enum'")
    names = part.get("properties", {})
    if "properties" in said and (missing := sorted(set(part.get("required", ())) - set(names))):
        raise _unfit(f"{where} requires '{missing[0]}', which is none of its properties")
    if odd := [name for name in names if _NOT_IN_JSON.search(name)]:
        raise _unfit(f"the name {odd[0]!r} has signs that JSON writes otherwise")
    if "pattern" in said:
        _check_pattern(where, part["pattern"])
    if "format" in said and part["format"] not in _FORMATS:
        known = ", ".join(_FORMATS)
        raise _unfit(f"{where} has the format {part['format']!r}; known are {known}")


def _kept_of_type(part: dict[str, Any]) -> set[str]:
    """What may stand beside its type, or each of its types."""
    types = part.get("type", ())
    kept = set[str]()
    for one in [types] if isinstance(types, str) else types:
        sets = [some for some in _OF_TYPE.get(one, ()) if some & part.keys()]
        kept |= sets[0] if sets else set()
    return kept - (_BOUNDS if isinstance(types, list) else set())


def _check_pattern(where: str, pattern: Any) -> None:
    if not isinstance(pattern, str):
        raise _unfit(f"{where} has the pattern {pattern!r}, which is no text")
    for part in _PATTERN_PART.findall(pattern):
        if part not in _OPERATORS and part != r"\p" and _may_be_no_json(part):
            raise _unfit(
                f"{where} has {part!r} in its pattern, which may be a quotation mark, a backslash"
                " or a line's end, and JSON writes these otherwise; name the signs wanted, such as"
                " [A-Za-z ]"
            )


def _may_be_no_json(part: str) -> bool:
    signs = ['"', "\\", *map(chr, range(32))]
    try:
        return any(re.fullmatch(part, sign) for sign in signs)
    except re.error:
        return True


def _number_not_in(text: str) -> str:
    number = 7_310_582_946
    while str(number) in text:
        number += 1
    return str(number)


def _integers(where: str, part: dict[str, Any]) -> str:
    """The regular expression of an integer within bounds."""
    bounds = {name: part[name] for name in _BOUNDS if part.get(name) is not None}
    if not all(isinstance(one, int | float) and math.isfinite(one) for one in bounds.values()):
        raise _unfit(f"{where} has bounds that are no numbers")
    lows = [math.ceil(bounds[name]) for name in ("minimum",) if name in bounds]
    lows += [math.floor(bounds[name]) + 1 for name in ("exclusiveMinimum",) if name in bounds]
    highs = [math.floor(bounds[name]) for name in ("maximum",) if name in bounds]
    highs += [math.ceil(bounds[name]) - 1 for name in ("exclusiveMaximum",) if name in bounds]
    if not lows:
        raise _unfit(f"{where} has no least integer: give a 'minimum', too")
    low = max(lows)
    digits = len(str(max(low, 0)))
    high = min(highs) if highs else 10**digits - 1
    if not 0 <= high - low < _MOST_WRITTEN:
        raise _unfit(
            f"{where} may be an integer from {low} to {high}; at most {_MOST_WRITTEN:,}, and one at"
            " least, can be told apart"
        )
    written = "|".join(map(str, range(low, high + 1)))
    return written if highs else f"{written}|[1-9][0-9]{{{digits},}}"
