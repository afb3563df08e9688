"""Strict settings, each kind declared once beside what it builds; what is wrong with one is said in
words.
"""

from __future__ import annotations

import difflib
import re
import types
import typing
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from speechverse.errors import RecipeError
from speechverse.yaml_files import UNQUOTED

PositiveInt = Annotated[int, Field(gt=0)]
NESTED = "nested"
"""Pydantic's `context` for settings whose faults the whole around them tells, with their place."""


class Config(BaseModel):
    """Settings: unknown keys are errors, values are taken as they stand (no "3" for 3), no NaN."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        frozen=True,
        protected_namespaces=(),
        allow_inf_nan=False,
        use_attribute_docstrings=True,
    )

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """Settings from plain values; a section may be a dict or made already.

        Raises:
            RecipeError: For an unknown key or a wrong value, with its place.
        """
        try:
            return cls.model_validate(dict(values))
        except ValidationError as error:
            raise RecipeError(
                "\n".join(describe_fault(item, cls, values) for item in error.errors())
            ) from None


def describe_fault(error: Any, kind: type[BaseModel], values: Any) -> str:
    """One line for one of pydantic's errors: dotted place, what was wrong, what is allowed.

    Args:
        error: Of `ValidationError.errors()`.
        kind: What the values were read as.
        values: The plain values; a list's entry goes by its `name`, if it has one.
    """
    where = _dotted(error["loc"], values)
    if error["type"] == "extra_forbidden":
        key, known = str(error["loc"][-1]), _keys_at(kind, error["loc"][:-1])
        near = difflib.get_close_matches(key, known, n=1, cutoff=0.5) or _elsewhere(kind, key)
        hint = f"; did you mean '{near[0]}'?" if near else ""
        return f"{where}: unknown key{hint} (known here: {', '.join(known)})"
    if error["type"] == "missing":
        return f"{where}: is missing"
    message = error["msg"].removeprefix("Value error, ")
    if error["type"] == "literal_error" and (
        meant := _nearest(str(error["input"]), error["ctx"]["expected"])
    ):
        message += f" (did you mean '{meant}'?)"
    given = "" if isinstance(error["input"], (dict, list)) else f", got {error['input']!r}"
    hint = (
        f" ({UNQUOTED})"
        if isinstance(error["input"], bool) and error["type"] == "string_type"
        else ""
    )
    told = f"{message[:1].lower()}{message[1:]}{given}{hint}"
    return f"{where}: {told}" if where else told


def _nearest(given: str, expected: str) -> str | None:
    return next(
        iter(difflib.get_close_matches(given, re.findall("'([^']+)'", expected), n=1, cutoff=0.5)),
        None,
    )


def _dotted(loc: Iterable[str | int], values: Any) -> str:
    parts = []
    for part in loc:
        if isinstance(part, str) and not isinstance(values, Mapping):
            continue  # pydantic adds the tried type of a union to the path
        try:
            values = values[part]
        except (KeyError, IndexError, TypeError):
            values = None
        name = values.get("name") if isinstance(part, int) and isinstance(values, Mapping) else None
        parts.append(str(part if name is None else name))
    return ".".join(parts)


def _keys_at(kind: Any, loc: Iterable[str | int]) -> list[str]:
    """The keys that the section at this place may have."""
    for part in loc:
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            kind = _section_in(kind.model_fields[str(part)].annotation)
        else:  # inside a dict or a list of sections
            kind = _section_in(typing.get_args(kind)[-1])
    return list(kind.model_fields)


def _elsewhere(kind: type[BaseModel], key: str) -> list[str]:
    """The dotted path of the nearest key in other sections, if one is near."""
    paths: dict[str, str] = {}
    _collect_keys(kind, "", paths)
    return [paths[name] for name in difflib.get_close_matches(key, paths, n=1, cutoff=0.75)]


def _collect_keys(kind: Any, at: str, paths: dict[str, str]) -> None:
    """Every key below a section with its dotted path; entries of lists and dicts go by a star."""
    kind = _section_in(kind)
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        for name, field in kind.model_fields.items():
            paths.setdefault(name, f"{at}{name}")
            _collect_keys(field.annotation, f"{at}{name}.", paths)
    elif typing.get_origin(kind) in (list, dict):
        _collect_keys(typing.get_args(kind)[-1], f"{at}*.", paths)


def _section_in(annotation: Any) -> Any:
    """The annotation without its "or null"."""
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return next(arm for arm in typing.get_args(annotation) if arm is not type(None))
    return annotation
