"""The label fields of an utterance: what each may hold, and the inventory of a corpus."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, NotRequired

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    StrictStr,
    TypeAdapter,
    ValidationError,
)
from typing_extensions import TypedDict  # pydantic takes typing's own from Python 3.12 on

from speechverse.errors import CorpusError, TaskError, unknown_name
from speechverse.tasks import LabelSet
from speechverse.tasks.labels import as_name, label_key
from speechverse.types import Utterance
from speechverse.yaml_files import UNQUOTED

INVENTORY_FIELDS = ("intent", "domain", "slots", "emotion", "sentiment", "accent", "class")
"""Fields with a set of names, which `collect_labels` gathers (for `slots`: the names of the slots).
"""


def _as_pairs(value: Any) -> Any:
    return [list(pair) for pair in value.items()] if isinstance(value, Mapping) else value


def _check_name(value: str) -> str:
    if not label_key(value):
        raise ValueError("nameless")
    return value


def _not_blank(value: str) -> str:
    if not value.strip():
        raise ValueError("blank")
    return value


def _check_pair(pair: list[str]) -> list[str]:
    _check_name(pair[0])
    return pair


_NAME = TypeAdapter(Annotated[StrictStr, AfterValidator(_check_name)])
_PAIR = Annotated[list[StrictStr], Field(min_length=2, max_length=2), AfterValidator(_check_pair)]


class _Instruction(TypedDict):
    __pydantic_config__ = ConfigDict(extra="forbid")  # type: ignore[misc]
    instruction: Annotated[StrictStr, AfterValidator(_not_blank)]
    answer: Annotated[StrictStr, AfterValidator(_not_blank)]
    kind: NotRequired[StrictStr]


_KINDS: dict[str, tuple[TypeAdapter, str]] = {
    **dict.fromkeys(
        ("intent", "domain", "emotion", "sentiment", "accent", "class"),
        (_NAME, "a string with a letter or digit"),
    ),
    "slots": (
        TypeAdapter(Annotated[list[_PAIR], BeforeValidator(_as_pairs)]),
        (
            'an object {"name": "value"} or a list of [name, value] pairs, each name with a letter'
            " or digit"
        ),
    ),
    **dict.fromkeys(("keywords", "hints"), (TypeAdapter(list[StrictStr]), "a list of strings")),
    "translations": (TypeAdapter(dict[StrictStr, StrictStr]), 'an object {"de": "text", ...}'),
    "instructions": (
        TypeAdapter(list[_Instruction]),
        (
            'a list of {"instruction": "text", "answer": "text"}, each with a "kind" (a name) if it'
            " has one"
        ),
    ),
    "num_speakers": (TypeAdapter(Annotated[StrictInt, Field(ge=0)]), "a whole number, 0 or more"),
    "is_speech": (TypeAdapter(StrictBool), "true or false"),
}
"""Label field to what it holds, as a type and in words."""


def normalise_labels(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Brings the known label fields into one form and leaves nulls out.

    Raises:
        ValueError: If a known field holds something else than it should.
    """
    labels = {}
    for name, value in raw.items():
        if value is not None:
            labels[name] = _check(name, value) if name in _KINDS else value
    return labels


def _check(name: str, value: Any) -> Any:
    kind, in_words = _KINDS[name]
    try:
        return kind.validate_python(value)
    except ValidationError:
        raise ValueError(f"'{name}' should be {in_words}, not {value!r}") from None


def names_used(labels: Mapping[str, Any], field: str) -> list[str]:
    """The names of a field's label set that one utterance uses; of slots, one each."""
    value = labels.get(field)
    if value is None:
        return []
    return [name for name, _ in value] if field == "slots" else [value]


def collect_labels(utterances: Iterable[Utterance]) -> dict[str, LabelSet]:
    """Gathers every label name in use, sorted, with empty descriptions.

    Raises:
        CorpusError: If two names read alike in an answer; says where each is first used.
    """
    return gather_names((utterance.labels, utterance.place) for utterance in utterances)


def gather_names(
    labelled: Iterable[tuple[Mapping[str, Any], str]], fields: Sequence[str] = INVENTORY_FIELDS
) -> dict[str, LabelSet]:
    """As `collect_labels`, from labels and the place they stand at; numbers, true and false are
    names as answers say them.
    """
    found: dict[str, dict[str, str]] = {}
    for labels, place in labelled:
        for field in fields:
            for name in filter(None, map(as_name, names_used(labels, field))):
                found.setdefault(field, {}).setdefault(name, place)
    for field, places in found.items():
        _refuse_alike(field, places)
    return {
        field: LabelSet(field, dict.fromkeys(sorted(names), ""))
        for field, names in sorted(found.items())
    }


def _refuse_alike(field: str, places: Mapping[str, str]) -> None:
    seen: dict[str, str] = {}
    for name, place in places.items():
        other = seen.setdefault(label_key(name), name)
        if other != name:
            raise CorpusError(
                f"labels '{other}' ({places[other]}) and '{name}' ({place}) of '{field}' read alike"
                " in an answer, whose case and punctuation do not count; write them one way, or"
                " give one another name"
            )


def as_label_sets(labels: Mapping[str, Any], place: str) -> dict[str, LabelSet]:
    """Label sets from field to names, or to names with descriptions, as written at a place.

    Raises:
        CorpusError: If it is something else, a name has no letter or digit, or two read alike.
    """
    sets = {}
    for field, names in labels.items():
        if isinstance(names, LabelSet):
            sets[field] = names
            continue
        if not _is_label_set(names):
            raise CorpusError(
                f"{place}: '{field}' should be names with descriptions (name: text) or a list of"
                f" names, all of them text, not {str(names)[:60]}; {UNQUOTED}"
            )
        described = dict(names) if isinstance(names, Mapping) else dict.fromkeys(names, "")
        try:
            sets[field] = LabelSet(field, described)
        except TaskError as error:
            raise CorpusError(f"{place}: {error}") from None
    return sets


def _is_label_set(names: Any) -> bool:
    if not isinstance(names, Mapping | list | tuple):
        return False
    texts = [*names, *names.values()] if isinstance(names, Mapping) else names
    return all(isinstance(text, str) for text in texts)


def check_names(labels: Mapping[str, Any], inventory: Mapping[str, LabelSet]) -> None:
    """Raises ValueError if an utterance uses a name that its field's set lacks."""
    for field, known in inventory.items():
        for name in names_used(labels, field):
            if not isinstance(name, str):
                raise ValueError(
                    f"'{field}' has a set of names and should be one of them, not {name!r}"
                )
            if name not in known.descriptions:
                raise ValueError(unknown_name(f"{field} label", name, known.descriptions))
