"""What would take minutes or gigabytes to compile is refused by its looks."""

from __future__ import annotations

import pytest

from speechverse.errors import UserError
from speechverse.serving.costly import check_pattern, check_schema


def doubled(levels):
    """A schema whose references double at each level."""
    each = {
        f"a{n}": {"type": "array", "prefixItems": [{"$ref": f"#/$defs/a{n + 1}"}] * 2}
        for n in range(levels)
    }
    return {"$ref": "#/$defs/a0", "$defs": {**each, f"a{levels}": {"type": "null"}}}


@pytest.mark.parametrize(
    "pattern",
    ["(a{1000}){1000}", "((((a{9}){9}){9}){9}){9}", "(.{0,99}){99}", "(a|b{5000})?", "(a"],
)
def test_a_pattern_that_explodes_is_refused(pattern):
    with pytest.raises(UserError):
        check_pattern(pattern)


def test_a_schema_that_explodes_or_holds_itself_is_refused():
    for schema, told in ((doubled(40), "written out"), ({"items": {"$ref": "#"}}, "holds itself")):
        with pytest.raises(UserError, match=told):
            check_schema(schema)


def test_what_is_usual_is_followed():
    for pattern in (
        r'\{"a":"[^"]*","b":(true|false)\}',
        ".{0,60}",
        "(yes|no|maybe)+",
        r"\d{4}-\d{2}",
    ):
        check_pattern(pattern)
    check_schema(doubled(4))
