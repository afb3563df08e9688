"""JSON schemas: what may come is JSON of all of the schema, and what cannot be kept to is refused."""

from __future__ import annotations

import json
import re
from functools import lru_cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from outlines_core import Index, Vocabulary

from speechverse.decoding import pattern_of_schema
from speechverse.errors import UserError

STRING = {"type": "string"}


BYTES = Vocabulary(256, {bytes([byte]): [byte] for byte in range(256)})
"""A vocabulary of single bytes: what is tried is the automaton that decoding follows."""


def admits(schema: object, text: str) -> bool:
    return follows(pattern_of_schema(json.dumps(schema)), text)


@lru_cache(maxsize=64)
def index_of(pattern: str) -> Index:
    return Index(f"({pattern})\\x00", BYTES)  # closed, as PatternAutomaton does


def follows(pattern: str, text: str) -> bool:
    index = index_of(pattern)
    state = index.get_initial_state()
    for byte in f"{text}\0".encode():
        if (state := index.get_next_state(state, byte)) is None:
            return False
    return index.is_final_state(state)


@settings(max_examples=60, deadline=None)
@given(
    st.one_of(st.none(), st.integers(-3_000, 3_000)),
    st.one_of(st.none(), st.integers(-3_000, 3_000)),
    st.lists(st.integers(-40_000, 40_000), max_size=20),
)
def test_just_the_integers_within_bounds_come(low, high, others):
    if low is not None and high is not None and low > high:
        low, high = high, low
    bounds = {"minimum": low, "maximum": high}
    schema = {"type": "integer", **{k: v for k, v in bounds.items() if v is not None}}
    if len(schema) == 1:
        return
    pattern = pattern_of_schema(schema)
    near = [edge + by for edge in (low, high) if edge is not None for by in (-10, -1, 0, 1, 10)]
    for number in (*near, *others, 0, 9, 10, 99, 100, -1):
        inside = (low is None or number >= low) and (high is None or number <= high)
        assert (re.fullmatch(pattern, str(number)) is not None) == inside, (number, pattern)
    assert not re.fullmatch(pattern, "007")


def test_many_bounded_integers_take_no_long_time():
    part = {"type": "integer", "minimum": 1, "maximum": 9}
    schema = {"type": "null", "$defs": {f"n{number}": dict(part) for number in range(3_000)}}
    assert pattern_of_schema(schema) == "null"


@pytest.mark.parametrize(
    ("schema", "inside", "outside"),
    [
        ({"type": "integer", "minimum": 1, "maximum": 5}, "1 3 5", "0 6 -3 900 15"),
        ({"type": "integer", "exclusiveMinimum": -2, "maximum": 1}, "-1 0 1", "-2 2 -11"),
        ({"type": "integer", "minimum": 0}, "0 7 10 12345", "-1 007"),
        ({"type": "integer", "minimum": 18}, "18 99 100 2000", "17 1 -18"),
        ({"type": "integer", "minimum": 0.5, "maximum": 2.5}, "1 2", "0 3"),
        ({"enum": ["a", 1]}, '"a" 1', '"b" 2'),
        ({"type": "string", "minLength": 2, "maxLength": 3}, '"ab" "abc"', '"a" "abcd"'),
        ({"type": "string", "pattern": "^[a-z]+$"}, '"ab"', '"a1" ""'),
        ({"type": "string", "pattern": "^yes|no$"}, '"yes" "no"', '"yes no"'),
        ({"type": "string", "pattern": "[a-z]+$"}, '"ab"', '"a1"'),
        ({"const": "a", "enum": ["a"], "type": "string"}, '"a"', '"b"'),
        ({"type": ["integer", "null"]}, "3 null", '"3"'),
        ({"anyOf": [STRING, {"type": "integer", "minimum": 0, "maximum": 3}]}, '"x" 2', "4"),
        ({"$ref": "#/$defs/n", "$defs": {"n": {"type": "integer", "minimum": 1}}}, "1 12", "0"),
        (
            {"prefixItems": [STRING, {"type": "null"}], "minItems": 2, "maxItems": 2},
            '["a",null]',
            '["a"]',
        ),
        ({"allOf": [{"type": "null"}], "title": "Nothing", "default": None}, "null", "1"),
    ],
)
def test_what_may_come_keeps_to_the_whole_schema(schema, inside, outside):
    assert [text for text in inside.split() if not admits(schema, text)] == []
    assert [text for text in outside.split() if admits(schema, text)] == []


def test_bounds_hold_deep_inside_and_notes_change_nothing():
    seats = {"type": "integer", "minimum": 1, "maximum": 4, "description": "how many"}
    order = {
        "title": "Order",
        "type": "object",
        "properties": {"seats": seats, "rows": {"type": "array", "items": seats, "maxItems": 2}},
        "required": ["seats", "rows"],
        "additionalProperties": False,
    }
    assert admits(order, '{"seats": 4, "rows": [1, 2]}')
    assert not admits(order, '{"seats": 5, "rows": [1]}')
    assert not admits(order, '{"seats": 1, "rows": [0]}')


@pytest.mark.parametrize(
    ("schema", "told"),
    [
        ("{not json", "it is no JSON"),
        ([], "not an object"),
        ({"type": "number", "minimum": 0}, "has 'minimum'"),
        ({"type": "integer", "minimum": 3, "maximum": 2}, "from 3 to 2"),
        ({"type": "integer", "minimum": "1"}, "bounds that are no numbers"),
        ({"type": "integer", "multipleOf": 5}, "has 'multipleOf'"),
        ({"type": ["integer", "null"], "minimum": 1}, "has 'minimum'"),
        ({"type": "array", "items": STRING, "uniqueItems": True}, "has 'uniqueItems'"),
        ({"type": "array", "contains": STRING}, "has 'contains'"),
        ({**STRING, "pattern": "[a-z]+", "maxLength": 3}, "has 'pattern'|has 'maxLength'"),
        ({**STRING, "pattern": ".+"}, "has '.' in its pattern"),
        ({**STRING, "pattern": "[^a]"}, "in its pattern"),
        ({**STRING, "pattern": r"\S+"}, "in its pattern"),
        ({**STRING, "pattern": "[[^a]]+"}, "in its pattern"),
        ({**STRING, "pattern": r"\p{P}+"}, "in its pattern"),
        ({**STRING, "pattern": "[[:punct:]]+"}, "in its pattern"),
        ({**STRING, "pattern": "a$|^b"}, "inside its pattern"),
        ({**STRING, "pattern": "a)|(b"}, "parentheses do not match"),
        ({**STRING, "pattern": "(?=a)b"}, "begins '\\(\\?'"),
        ({"properties": None}, "no valid JSON schema"),
        ({"type": 5}, "no valid JSON schema|has 'type'|cannot be followed"),
        ({"type": "object", "properties": {}, "required": 5}, "no valid JSON schema"),
        ({"allOf": 5}, "no valid JSON schema"),
        ({"prefixItems": [STRING], "minItems": "1"}, "no valid JSON schema"),
        ({"type": "integer", "minimum": 10**30}, "more than 18 digits"),
        ({"type": "integer", "minimum": 10**400}, "no valid JSON schema|digits"),
        ({**STRING, "pattern": "[ -~]"}, "in its pattern"),
        ({**STRING, "format": "email"}, "known are date"),
        ({"allOf": [{"type": "null"}, STRING]}, "'allOf' of several"),
        ({"anyOf": [STRING], "minLength": 2}, "'minLength' beside 'anyOf'"),
        ({"type": "object", "properties": {"a": STRING}, "required": ["b"]}, "requires 'b'"),
        ({"type": "object", "properties": {"a": STRING}, "patternProperties": {}}, "has 'pattern"),
        ({"type": "object", "properties": {'a"': STRING}}, "signs that JSON writes otherwise"),
        ({"type": "object", "properties": {"a": {"if": {}}}}, "'a' has 'if'"),
        ({"prefixItems": [STRING], "minItems": 2}, "1 'prefixItems', but"),
        ({"enum": []}, "empty 'enum'"),
        ({"not": STRING}, "has 'not'"),
        ({"items": STRING}, "has 'items'"),
    ],
)
def test_what_cannot_be_kept_to_is_refused_by_name(schema, told):
    with pytest.raises(UserError, match="JSON schema cannot be followed") as caught:
        pattern_of_schema(schema if isinstance(schema, str) else json.dumps(schema))
    assert re.search(told, str(caught.value)), caught.value
