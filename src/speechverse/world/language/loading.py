"""Reads the language's data files; the tests see to it that what they say can be said."""

from __future__ import annotations

import re
from importlib.resources.abc import Traversable
from typing import Any, NamedTuple

from speechverse.world.tables import read_yaml

Triple = tuple[str, str, str]
"""The same in English, German and French."""

LANGUAGES = ("en", "de", "fr")
PHRASES_FILE, STRATA_FILE, QUANTITIES_FILE = "phrases.yaml", "strata.yaml", "quantities.yaml"
CHOICE = re.compile(r"\(([^()]*)\)")
SLOT = re.compile(r"\{(\w+)\}")


class DataFiles(NamedTuple):
    """Domains and slots by name in order of the files, and the phrases round a request."""

    domains: dict[str, dict[str, Any]]
    slots: dict[str, dict[str, Any]]
    phrases: dict[str, list[str]]


def read_files(folder: Traversable) -> DataFiles:
    """Reads the data files of a folder in order of their names: `phrases.yaml`, `slots*.yaml`, and
    any other holds domains, but for strata and quantities, which are read elsewhere.
    """
    found = DataFiles({}, {}, {})
    for path in sorted(folder.iterdir(), key=lambda path: path.name):
        if path.name == PHRASES_FILE:
            found.phrases.update(read_yaml(path))
        elif path.name.startswith("slots"):
            found.slots.update(read_yaml(path))
        elif path.name.endswith(".yaml") and path.name not in (STRATA_FILE, QUANTITIES_FILE):
            found.domains.update(read_yaml(path))
    return found


def triple(line: str) -> Triple:
    """A line's three languages: `english / german / french`, or one text for all."""
    parts = line.split(" / ") if " / " in line else [line] * len(LANGUAGES)
    english, german, french = (part.strip() for part in parts)
    return english, german, french
