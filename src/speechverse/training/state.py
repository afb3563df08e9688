"""The state of a run in a folder, and signals that wait for the end of a step."""

from __future__ import annotations

import contextlib
import json
import signal
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from speechverse.errors import CheckpointError
from speechverse.files import recover

STATE_FILE = "state.json"


@dataclass(frozen=True)
class State:
    """Plain values (`state.json`), and optimiser states and the like, each one torch file."""

    info: dict[str, Any]
    objects: dict[str, Any] = field(default_factory=dict)


def write_state(
    folder: Path, *, info: Mapping[str, Any], objects: Mapping[str, Any] | None = None
) -> None:
    """Writes a state into a folder that exists (for use inside `atomic_folder`)."""
    for name, value in (objects or {}).items():
        # Given a path, torch would not say why a write failed.
        with (folder / f"{name}.pt").open("wb") as file:
            torch.save(value, file)
    (folder / STATE_FILE).write_text(json.dumps(dict(info), indent=1))


def load_state(folder: Path) -> State:
    """Reads what `write_state` wrote.

    Raises:
        CheckpointError: If there is no whole state in the folder.
    """
    info = load_info(folder)
    try:
        objects = {
            path.stem: torch.load(path, map_location="cpu") for path in sorted(folder.glob("*.pt"))
        }
    except (OSError, ValueError, RuntimeError, EOFError, UnpicklingError) as error:
        raise _not_whole(folder, error) from error
    return State(info, objects)


def load_info(folder: Path) -> dict[str, Any]:
    """The plain values of a state folder alone.

    Raises:
        CheckpointError: If there are none.
    """
    recover(folder)
    try:
        return json.loads((folder / STATE_FILE).read_text())
    except (OSError, ValueError) as error:
        raise _not_whole(folder, error) from error


def _not_whole(folder: Path, error: Exception) -> CheckpointError:
    return CheckpointError(
        f"'{folder}' holds no whole training state ({error or type(error).__name__}); delete that"
        " folder to begin again"
    )


class Interrupt:
    """Whether somebody has asked the run to stop."""

    requested = False


@contextlib.contextmanager
def interruptible() -> Iterator[Interrupt]:
    """Turns the first SIGINT or SIGTERM into a flag; the second interrupts at once."""
    flag = Interrupt()
    if threading.current_thread() is not threading.main_thread():
        yield flag
        return

    def ask(number: int, frame: object) -> None:
        if flag.requested:
            raise KeyboardInterrupt
        flag.requested = True

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield flag
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
