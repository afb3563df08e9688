"""The ledger: every time a split was measured on, so that a test set that was looked at often is
known for one.
"""

from __future__ import annotations

import datetime
import os
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from speechverse.errors import UserError
from speechverse.evaluation.results import Results
from speechverse.files import append_log, read_log

TEST = "test"
"""The split that choices should not look at."""


def ledger_file() -> Path:
    """In the user's state folder: `XDG_STATE_HOME`, else ~/.local/state.

    Raises:
        UserError: If it is to lie in a home folder that nobody knows.
    """
    home = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    try:
        return Path(home).expanduser().absolute() / "speechverse" / "measured.jsonl"
    except RuntimeError as error:
        raise UserError(
            f"the ledger should be in '{home}', and that home folder is not known: set"
            " XDG_STATE_HOME to a folder"
        ) from error


def record(results: Results) -> str:
    """`record_look`, of an evaluation."""
    about = results.model
    return record_look(results.corpus, about.get("name"), about.get("fingerprint"))


def record_look(corpus: Mapping[str, Any], model: str | None, identity: str | None) -> str:
    """Adds a line to the ledger: date, command, model, corpus, split.

    Args:
        corpus: `name`, `split` and `manifest_sha256` of what was measured on.
        model: Name of what was measured.
        identity: Its fingerprint, by which models are counted; or a name, where it has none.

    Returns:
        How often that split was measured on, as a sentence about it; empty unless it is `test`.
    """
    try:
        file = ledger_file()
    except UserError as error:  # what was measured is not lost for that
        return f"this measurement could not be recorded: {error}"
    line = {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "command": shlex.join(["speechverse", *sys.argv[1:]]),
        "model": model,
        "fingerprint": identity,
        **corpus,
    }
    try:
        append_log(file, [line])
        measured = read_log(file)
    except OSError as error:
        return f"this measurement could not be recorded in '{file}' ({error})"
    if corpus["split"] != TEST:
        return ""
    looks = [entry for entry in measured if _place(entry) == _place(corpus)]
    models = {entry.get("fingerprint") for entry in looks}
    times = f"{len(looks)} time{'s' if len(looks) > 1 else ''}"
    return (
        f"split '{TEST}' of {corpus['name']} was measured on {times}, with {len(models)}"
        f" model{'s' if len(models) > 1 else ''} ({file}): choose on validation clips"
    )


def _place(about: Mapping[str, Any]) -> Any:
    return about.get("manifest_sha256") or about.get("name"), about.get("split")
