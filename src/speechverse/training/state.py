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
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from speechverse.errors import CheckpointError
from speechverse.files import recover, whole_folder

STATE_FILE = "state.json"


@dataclass(frozen=True)
class State:
    """What a state folder holds.

    Attributes:
        info: Plain values (`state.json`).
        tensors: Named groups of tensors, each one safetensors file.
        objects: Optimiser states and the like, each one torch file.
    """

    info: dict[str, Any]
    tensors: dict[str, dict[str, Tensor]] = field(default_factory=dict)
    objects: dict[str, Any] = field(default_factory=dict)


def save_state(
    folder: Path,
    *,
    info: Mapping[str, Any],
    tensors: Mapping[str, Mapping[str, Tensor]] | None = None,
    objects: Mapping[str, Any] | None = None,
) -> None:
    """Writes a state folder, whole or not at all.

    Args:
        folder: Where; an older state of that name is replaced.
        info: Plain JSON values.
        tensors: Name → tensors, each written as `<name>.safetensors`.
        objects: Name → anything torch can save (optimiser states), each written as `<name>.pt`.
    """
    with whole_folder(folder) as scratch:
        write_state(scratch, info=info, tensors=tensors, objects=objects)


def write_state(
    folder: Path,
    *,
    info: Mapping[str, Any],
    tensors: Mapping[str, Mapping[str, Tensor]] | None = None,
    objects: Mapping[str, Any] | None = None,
) -> None:
    """The files of `save_state`, into a folder that exists (for use inside `whole_folder`)."""
    for name, group in (tensors or {}).items():
        save_file({key: value.detach().contiguous() for key, value in group.items()}, folder / f"{name}.safetensors")
    for name, value in (objects or {}).items():
        with (folder / f"{name}.pt").open("wb") as file:  # given a path, torch would not say why a write failed
            torch.save(value, file)
    (folder / STATE_FILE).write_text(json.dumps(dict(info), indent=1))


def load_state(folder: Path) -> State:
    """Reads what `save_state` wrote.

    Raises:
        CheckpointError: If there is no whole state in the folder.
    """
    info = load_info(folder)
    try:
        tensors = {path.stem: load_file(path) for path in sorted(folder.glob("*.safetensors"))}
        objects = {path.stem: torch.load(path, map_location="cpu") for path in sorted(folder.glob("*.pt"))}
    except (OSError, ValueError, RuntimeError, EOFError, UnpicklingError, SafetensorError) as error:
        raise _not_whole(folder, error) from error
    return State(info, tensors, objects)


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
        f"'{folder}' holds no whole training state ({error or type(error).__name__}); delete that folder to begin again"
    )


class Interrupt:
    """Whether somebody has asked the run to stop."""

    requested = False


@contextlib.contextmanager
def interruptible() -> Iterator[Interrupt]:
    """Turns the first SIGINT or SIGTERM into a flag to check between steps; the second interrupts at once."""
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
