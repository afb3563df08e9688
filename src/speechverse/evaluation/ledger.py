"""The ledger: every time a split was measured on, so that a test set that was looked at often is
known for one.
"""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from speechverse.evaluation.results import Results

TEST = "test"
"""The split that choices should not look at."""


def ledger_file() -> Path:
    """In the user's state folder: `XDG_STATE_HOME`, else ~/.local/state."""
    home = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(home).expanduser().absolute() / "speechverse" / "measured.jsonl"


def record(results: Results) -> str:
    """Adds a line to the ledger: date, command, model, corpus, split.

    Returns:
        How often that split was measured on, as a sentence about it; empty unless it is `test`.
    """
    file = ledger_file()
    before = [entry for entry in _entries(file) if _place(entry) == _place(results.corpus)]
    line = {
        "date": results.created,
        "command": shlex.join(["speechverse", *sys.argv[1:]]),
        "model": results.model.get("name"),
        "fingerprint": results.model.get("fingerprint"),
        **results.corpus,
    }
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(line) + "\n")
    except OSError as error:
        return f"this measurement could not be recorded in '{file}' ({error})"
    if results.corpus["split"] != TEST:
        return ""
    models = {entry.get("fingerprint") for entry in [*before, line]}
    times = f"{len(before) + 1} time{'s' if before else ''}"
    return (
        f"split '{TEST}' of {results.corpus['name']} was measured on {times}, with {len(models)}"
        f" model{'s' if len(models) > 1 else ''} ({file}): choose on validation clips"
    )


def _place(about: Mapping[str, Any]) -> Any:
    return about.get("manifest_sha256") or about.get("name"), about.get("split")


def _entries(file: Path) -> list[Mapping[str, Any]]:
    found: list[Mapping[str, Any]] = []
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    for line in lines:
        try:
            entry = json.loads(line)
        except ValueError:  # the half line of a killed run
            continue
        if isinstance(entry, dict):
            found.append(entry)
    return found
