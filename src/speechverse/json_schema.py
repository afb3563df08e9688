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
_PATTERN_PART = re.compile(r"\\[pP]\{\w+\}|\\.|\(\?:|\[(?:\\.|[^\]\\])+\]|.", re.DOTALL)
_OPERATORS = frozenset("()|?*+{},") | {"(?:"}
_KNOWN_CLASS = re.compile(r"\\p\{[LN]\w?\}")  # letters and numbers of all scripts
_PLACES = frozenset("^$") | {rf"\{sign}" for sign in "AZzbBG"}
_IN_RUST_ALONE = ("[", "&&", "--", "~~", r"\p", r"\P")
"""Of a class of signs, what the engine that follows patterns reads otherwise than Python."""

_MOST_DIGITS = 18
_STAND_IN_DIGITS = 6


def pattern_of_schema(schema: str | Mapping[str, Any]) -> str:
    """The regular expression of the JSON texts that a schema allows, on one line.

    Raises:
        UserError: If it is no schema, or says what cannot be kept to.
    """
    from outlines_core.json_schema import build_regex_from_schema

    try:
        whole = json.loads(schema) if isinstance(schema, str) else json.loads(json.dumps(schema))
    except (RecursionError, TypeError, ValueError) as error:
        raise _unfit(f"it is no JSON: {error}") from error
    if not isinstance(whole, dict):
        raise _unfit(f"it is {whole!r}, not an object such as {{'type': 'object', ...}}")
    sign, integers = _number_not_in(json.dumps(whole)), list[str]()
    try:
        for where, part in _parts(whole):
            _check(where, part)
            if "pattern" in part:
                part["pattern"] = _checked_pattern(where, part["pattern"])
            if part.get("type") == "integer" and _BOUNDS & part.keys():
                stand_in = int(f"{sign}{len(integers):0{_STAND_IN_DIGITS}}")
                integers.append(_integers(where, part))
                part.clear()
                part["const"] = stand_in
    except (AttributeError, OverflowError, TypeError, ValueError) as error:
        raise _unfit(f"it is no valid JSON schema ({error})") from error
    try:
        pattern = str(build_regex_from_schema(json.dumps(whole)))
    except Exception as error:  # whatever Rust says: a bad schema is the user's
        raise _unfit(str(error)) from error
    stand_ins = rf"{sign}(\d{{{_STAND_IN_DIGITS}}})"
    return re.sub(stand_ins, lambda found: f"({integers[int(found[1])]})", pattern)


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
    if deciding == ["enum", "const"] and part["enum"] == [part["const"]]:
        unkept = said - {"enum", "const", "type"}
    elif deciding:
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


def _checked_pattern(where: str, pattern: Any) -> str:
    """The same pattern as `outlines_core` puts between quotation marks."""
    if not isinstance(pattern, str):
        raise _unfit(f"{where} has the pattern {pattern!r}, which is no text")
    inner = without_anchors(pattern)
    if not is_balanced(inner):
        raise _unfit(f"{where} has the pattern {pattern!r}, whose parentheses do not match")
    for sign in _PATTERN_PART.findall(inner):
        if sign in _PLACES:
            raise _unfit(f"{where} has {sign!r} inside its pattern; a whole text is meant anyway")
        if sign not in _OPERATORS and not _KNOWN_CLASS.fullmatch(sign) and _may_be_no_json(sign):
            raise _unfit(
                f"{where} has {sign!r} in its pattern, which may be a quotation mark, a backslash"
                " or a line's end, and JSON writes these otherwise; name the signs wanted, such as"
                " [A-Za-z ]"
            )
    if "(?" in inner.replace("(?:", ""):
        raise _unfit(f"{where} has a group in its pattern that begins '(?'; only '(?:' can be")
    return f"^(?:{inner})$"


def is_balanced(pattern: str) -> bool:
    """Whether each parenthesis of a regular expression has its own: one that has not would close
    what is put around it.
    """
    groups = 0
    for sign in _outside_classes(pattern):
        if sign in ("(", ")"):
            groups += 1 if sign == "(" else -1
            if groups < 0:
                return False
    return not groups


def has_anchor(pattern: str) -> bool:
    """Whether a regular expression asks where the text begins or ends."""
    return any(sign in ("^", "$", r"\A", r"\z") for sign in _outside_classes(pattern))


def _outside_classes(pattern: str) -> Iterator[str]:
    """The signs of a regular expression, escaped ones whole, but for what stands in brackets."""
    classes = 0
    for sign in re.findall(r"\\.|\[\^?\]?|.", pattern, re.DOTALL):
        if sign.startswith("["):
            classes += 1
        elif classes:
            classes -= sign == "]"
        else:
            yield sign


def without_anchors(pattern: str) -> str:
    """A pattern without `^` and `$` at its ends: the whole text is meant anyway."""
    is_anchored = pattern.endswith("$") and not re.search(r"(?<!\\)(\\\\)*\\\$$", pattern)
    return pattern.removeprefix("^").removesuffix("$" if is_anchored else "")


def _may_be_no_json(part: str) -> bool:
    if part[0] == "[" and any(sign in part[1:] for sign in _IN_RUST_ALONE):
        return True
    signs = ['"', "\\", *map(chr, range(32))]
    try:
        return any(re.fullmatch(part, sign) for sign in signs)
    except re.error:
        return True


def _number_not_in(text: str) -> int:
    number = 7_310_582_946
    while str(number) in text:
        number += 1
    return number


def _integers(where: str, part: dict[str, Any]) -> str:
    """The regular expression of an integer within bounds."""
    bounds = {name: part[name] for name in _BOUNDS if part.get(name) is not None}
    if not all(type(one) in (int, float) and math.isfinite(one) for one in bounds.values()):
        raise _unfit(f"{where} has bounds that are no numbers")
    lows = [math.ceil(bounds[name]) for name in ("minimum",) if name in bounds]
    lows += [math.floor(bounds[name]) + 1 for name in ("exclusiveMinimum",) if name in bounds]
    highs = [math.floor(bounds[name]) for name in ("maximum",) if name in bounds]
    highs += [math.ceil(bounds[name]) - 1 for name in ("exclusiveMaximum",) if name in bounds]
    low, high = max(lows, default=None), min(highs, default=None)
    if any(len(str(abs(one))) > _MOST_DIGITS for one in (low, high) if one is not None):
        raise _unfit(f"{where} has bounds of more than {_MOST_DIGITS} digits")
    if low is not None and high is not None and low > high:
        raise _unfit(f"{where} may be an integer from {low} to {high}, which none is")
    parts = []
    if low is None or low < 0:
        least = 1 if high is None or high >= 0 else -high
        parts.append(f"-({_from_to(least, None if low is None else -low)})")
    if high is None or high >= 0:
        parts.append(_from_to(0 if low is None else max(low, 0), high))
    return "|".join(parts)


def _from_to(low: int, high: int | None) -> str:
    """Integers of 0 or more, as ranges in which each digit goes its own way."""
    digits = len(str(low))
    last = 10**digits - 1 if high is None else high
    ranges, first = [], low
    for stop in _stops(low, last):
        pairs = zip(str(first), str(stop), strict=True)
        ranges.append("".join(a if a == b else f"[{a}-{b}]" for a, b in pairs))
        first = stop + 1
    return "|".join(ranges) if high is not None else "|".join([*ranges, f"[1-9][0-9]{{{digits},}}"])


def _stops(low: int, high: int) -> list[int]:
    """Where ranges end between whose ends all numbers of these digits lie."""
    stops, power = {high}, 10
    while low <= (nines := low - low % power + power - 1) < high:
        stops.add(nines)
        power *= 10
    power = 10
    while low < (below := (high + 1) - (high + 1) % power - 1) <= high:
        stops.add(below)
        power *= 10
    return sorted(stops)
