"""Refuses data files of the language that hold what could not be said: every fault names its file
and place.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from speechverse.errors import SpeechverseError, unknown_name
from speechverse.world.language import grammar
from speechverse.world.language.loading import (
    CHOICE,
    LANGUAGES,
    PHRASES_FILE,
    QUANTITIES_FILE,
    SLOT,
    STRATA_FILE,
    DataFiles,
    Triple,
    triple,
)
from speechverse.world.language.quantities import VALUES

_KEYS = {
    "domain": (("description", "intents"), ("held_out",)),
    "intent": (("description", "templates"), ("held_out",)),
    "slot": (("description",), ("values", "computed", "keyword", "open")),
    "phrases": (("openers", "closers"), ()),
}
"""Kind of entry → the keys it must have, and those it may have."""
_FLAGS = ("held_out", "open", "keyword")
_ENGLISH = re.compile(r"[a-z']+(?: [a-z']+)*")


def check_files(folder: Path) -> None:
    """Checks every data file of a folder, and that the grammar read from them has something to say
    in every slot.

    Raises:
        SpeechverseError: A fault in a file.
    """
    found = DataFiles({}, {}, {})
    for path in sorted(folder.glob("*.yaml")):
        content = _read_yaml(path)
        if path.name in (STRATA_FILE, QUANTITIES_FILE):
            continue
        if path.name == PHRASES_FILE:
            found.phrases.update(content)
        elif path.name.startswith("slots"):
            _add(found.slots, content, "slot", path.name)
        elif all(isinstance(entry, dict) and "intents" in entry for entry in content.values()):
            _add(found.domains, content, "domain", path.name)
        else:
            raise SpeechverseError(
                f"{path.name}: neither slots nor phrases, and not every entry has 'intents'"
            )
    _check(found)
    for slot in grammar.read(folder).slots.values():
        if not slot.seen:
            raise SpeechverseError(
                f"slot '{slot.name}' is too short to be open: all its values are held back; list"
                " more"
            )


class _Loader(yaml.SafeLoader):
    """Refuses a key that is there twice, which YAML lets pass."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=deep) for key, _ in node.value]
        double = next((key for key in keys if keys.count(key) > 1), None)
        if double is not None:
            raise SpeechverseError(
                f"'{double}' is there twice (near line {node.start_mark.line + 1})"
            )
        return dict(super().construct_mapping(node, deep))


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), _Loader)  # noqa: S506 (a safe loader)
    except yaml.YAMLError as error:
        raise SpeechverseError(f"{path.name}: {error}") from error
    except SpeechverseError as error:
        raise SpeechverseError(f"{path.name}: {error}") from None
    if not isinstance(content, dict):
        raise SpeechverseError(f"{path.name}: holds no entries")
    return content


def _add(known: dict[str, Any], content: Mapping[str, Any], kind: str, file: str) -> None:
    for name, entry in content.items():
        if name in known:
            raise SpeechverseError(f"{file}: {kind} '{name}' is in another file already")
        _check_keys(entry, kind, f"{file}: {kind} '{name}'")
        known[name] = entry


def _check_keys(entry: Any, kind: str, where: str) -> None:
    needed, allowed = _KEYS[kind]
    if not isinstance(entry, dict):
        raise SpeechverseError(f"{where} holds no entries")
    for key in entry:
        if key not in (*needed, *allowed):
            raise SpeechverseError(f"{where}: {unknown_name('key', str(key), (*needed, *allowed))}")
    missing = [key for key in needed if not entry.get(key)]
    if missing:
        raise SpeechverseError(f"{where} lacks {', '.join(missing)}")
    for key in _FLAGS:
        if not isinstance(entry.get(key, False), bool):
            raise SpeechverseError(f"{where}: {key} is true or false, not '{entry[key]}'")


def _check(found: DataFiles) -> None:
    _check_keys(found.phrases, "phrases", PHRASES_FILE)
    for line in (*found.phrases["openers"], *found.phrases["closers"]):
        if line:
            _check_line(line, f"phrase '{line}'")
    for name, slot in found.slots.items():
        _check_slot(name, slot)
    seen: set[str] = set()
    for domain in found.domains.values():
        for name, intent in domain["intents"].items():
            if name in seen:
                raise SpeechverseError(f"intent '{name}' is in two domains")
            seen.add(name)
            _check_keys(intent, "intent", f"intent '{name}'")
            for template in intent["templates"]:
                _check_template(template, found.slots, f"intent '{name}', template '{template}'")


def _check_slot(name: str, slot: Mapping[str, Any]) -> None:
    if ("values" in slot) == ("computed" in slot):
        raise SpeechverseError(f"slot '{name}' needs either values or computed")
    if slot.get("computed", "times") not in VALUES:
        raise SpeechverseError(
            f"slot '{name}': {unknown_name('computed', slot['computed'], VALUES)}"
        )
    seen: set[str] = set()
    for line in slot.get("values", ()):
        where = f"slot '{name}', value '{line}'"
        english, *others = _check_line(line, where)
        if any(mark in other for other in others for mark in "[]"):
            raise SpeechverseError(f"{where}: only the English marks the value with [...]")
        if english in seen:
            raise SpeechverseError(f"{where}: is there twice")
        seen.add(english)


def _check_line(line: Any, where: str, marks: str = "[]") -> Triple:
    """The line's three languages, when they are three and the English is words in lower case beside
    the marks.
    """
    if not isinstance(line, str):
        raise SpeechverseError(f"{where}: is no text; put it in quotes")
    fault = f"{where}: needs {len(LANGUAGES)} languages, 'english / german / french'"
    try:
        parts = triple(line)
    except ValueError:
        raise SpeechverseError(fault) from None
    if not all(parts):
        raise SpeechverseError(fault)
    plain = " ".join(re.sub("[" + re.escape(marks) + "]", " ", parts[0]).split())
    if plain and not _ENGLISH.fullmatch(plain):
        raise SpeechverseError(
            f"{where}: the English must be lower-case letters and apostrophes, got '{plain}'"
        )
    return parts


def _check_template(line: Any, slots: Mapping[str, Any], where: str) -> None:
    text = line if isinstance(line, str) else ""
    parts = _check_line(SLOT.sub(" ", text) if text else line, where, "(|)*")
    if " / " not in text:
        raise SpeechverseError(
            f"{where}: needs {len(LANGUAGES)} languages, 'english / german / french'"
        )
    _check_marks(parts, where)
    shapes = [_shape(part) for part in triple(text)]
    if any(
        [len(group) for group in shape[1]] != [len(group) for group in shapes[0][1]]
        for shape in shapes
    ):
        raise SpeechverseError(
            f"{where}: the groups of choices are not of equal number in all languages"
        )
    if any(shape != shapes[0] for shape in shapes):
        raise SpeechverseError(f"{where}: not the same slots in all languages")
    outside, groups = shapes[0]
    for options in _all_slots(outside, groups):
        if len(set(options)) < len(options):
            raise SpeechverseError(f"{where}: a slot is there twice")
    for name in SLOT.findall(text):
        if name not in slots:
            raise SpeechverseError(f"{where}: {unknown_name('slot', name, slots)}")


def _check_marks(parts: Sequence[str], where: str) -> None:
    stray = [mark for part in parts for mark in "()|{}[]" if mark in CHOICE.sub(" ", part)]
    if stray:
        raise SpeechverseError(f"{where}: a stray '{stray[0]}'")
    if parts[0].count("*") % 2 or any("*" in part for part in parts[1:]):
        raise SpeechverseError(f"{where}: keywords are marked *so*, in the English only")


def _shape(line: str) -> tuple[list[str], list[list[list[str]]]]:
    """Slots outside the groups of choices, and of each option of each group."""
    groups = [
        [sorted(SLOT.findall(option)) for option in group.split("|")]
        for group in CHOICE.findall(line)
    ]
    return sorted(SLOT.findall(CHOICE.sub(" ", line))), groups


def _all_slots(
    outside: Sequence[str], groups: Iterable[Sequence[Sequence[str]]]
) -> Iterator[list[str]]:
    """Slots that can be said together: of the line, with those of one option."""
    yield list(outside)
    for group in groups:
        for option in group:
            yield [*outside, *option]
