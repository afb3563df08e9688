"""What would take minutes or gigabytes to compile is refused before it is."""

from __future__ import annotations

import pytest

from speechverse.decoding import pattern_of_schema
from speechverse.errors import UserError
from speechverse.serving import costly
from speechverse.serving.costly import check_pattern, check_schema


def doubled(levels):
    """A schema whose references double at each level."""
    each = {
        f"a{n}": {"type": "array", "prefixItems": [{"$ref": f"#/$defs/a{n + 1}"}] * 2}
        for n in range(levels)
    }
    return {"$ref": "#/$defs/a0", "$defs": {**each, f"a{levels}": {"type": "null"}}}


def test_a_pattern_that_explodes_is_refused_and_what_is_usual_is_followed(model, monkeypatch):
    monkeypatch.setattr(costly, "SECONDS", 1)
    with pytest.raises(UserError, match="more time or memory"):  # of 2^24 states
        check_pattern("(a|b)*a(a|b){24}", model.processor)
    for pattern in (r'\{"a":"[^"]*","b":(true|false)\}', ".{0,60}", r"\d{4}-\d{2}"):
        check_pattern(pattern, model.processor)


def optional(levels):
    """A schema of optional properties, each of which is written once for each that may precede."""
    schema = {"type": "string"}
    for _ in range(levels):
        rest = {f"p{n}": {"type": "null"} for n in range(11)}
        schema = {"type": "object", "properties": {"p": schema, **rest}}
    return schema


def test_a_schema_that_explodes_or_holds_itself_is_refused():
    with pytest.raises(UserError, match="too long when it is written out"):
        check_schema(optional(10))
    for schema in (doubled(40), {"items": {"$ref": "#"}, "type": "array"}):
        check_schema(schema)  # small, and no schema that can be followed
        with pytest.raises(UserError, match="cannot be followed"):
            pattern_of_schema(schema)
    check_schema(optional(1))
    with pytest.raises(UserError, match="at most 131,072 are read"):  # notes are remembered, too
        check_schema({"type": "null", "description": "x" * costly.MAX_SCHEMA})
