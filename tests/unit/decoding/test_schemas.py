"""JSON schemas: what may come is JSON of all of the schema, and what cannot be kept to is refused."""

from __future__ import annotations

import json
import re

import pytest

from speechverse.decoding import pattern_of_schema
from speechverse.errors import UserError

STRING = {"type": "string"}


def admits(schema: object, text: str) -> bool:
    pattern = pattern_of_schema(json.dumps(schema))
    return re.fullmatch(pattern, text) is not None


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
        ({"type": "integer", "maximum": 5}, "give a 'minimum'"),
        ({"type": "integer", "minimum": 0, "maximum": 10**6}, "from 0 to 1000000"),
        ({"type": "integer", "minimum": 3, "maximum": 2}, "from 3 to 2"),
        ({"type": "integer", "minimum": "1"}, "bounds that are no numbers"),
        ({"type": "integer", "multipleOf": 5}, "has 'multipleOf'"),
        ({"type": ["integer", "null"], "minimum": 1}, "has 'minimum'"),
        ({"type": "array", "items": STRING, "uniqueItems": True}, "has 'uniqueItems'"),
        ({"type": "array", "contains": STRING}, "has 'contains'"),
        ({**STRING, "pattern": "[a-z]+", "maxLength": 3}, "has 'pattern'|has 'maxLength'"),
        ({**STRING, "pattern": ".+"}, "has '.' in its pattern"),
        ({**STRING, "pattern": "[^a]"}, "in its pattern"),
        ({**STRING, "pattern": r"\\S+"}, "in its pattern"),
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
