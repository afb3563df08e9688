"""Reads the language's data files. They are the package's own: its tests see to it that what they
say can be said.
"""

from __future__ import annotations

import re
from importlib.resources.abc import Traversable
from typing import Any, NamedTuple

import yaml

Triple = tuple[str, str, str]
"""The same in English, German and French."""

LANGUAGES = ("en", "de", "fr")
PHRASES_FILE, STRATA_FILE, QUANTITIES_FILE = "phrases.yaml", "strata.yaml", "quantities.yaml"
CHOICE = re.compile(r"\(([^()]*)\)")
SLOT = re.compile(r"\{(\w+)\}")

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class DataFiles(NamedTuple):
    """What the files say: domains and slots by name in order of the files, and the phrases round a
    request.
    """

    domains: dict[str, dict[str, Any]]
    slots: dict[str, dict[str, Any]]
    phrases: dict[str, list[str]]


def read_files(folder: Traversable) -> DataFiles:
    """Reads every data file of a folder, in order of their names.

    A file is known by its name (`phrases.yaml`, `slots*.yaml`); any other holds domains. What is
    read elsewhere, the other strata and the quantities, is passed over.
    """
    found = DataFiles({}, {}, {})
    for path in sorted(folder.iterdir(), key=lambda path: path.name):
        if not path.name.endswith(".yaml") or path.name in (STRATA_FILE, QUANTITIES_FILE):
            continue
        content = read_yaml(path)
        if path.name == PHRASES_FILE:
            found.phrases.update(content)
        elif path.name.startswith("slots"):
            found.slots.update(content)
        else:
            found.domains.update(content)
    return found


def read_yaml(path: Traversable) -> dict[str, Any]:
    """The mapping in a YAML file."""
    # noqa: S506 (a safe loader)
    content: dict[str, Any] = yaml.load(path.read_text(encoding="utf-8"), _LOADER)
    return content


def triple(line: str) -> Triple:
    """A line's three languages: `english / german / french`, or one text for all."""
    parts = line.split(" / ") if " / " in line else [line] * len(LANGUAGES)
    english, german, french = (part.strip() for part in parts)
    return english, german, french
