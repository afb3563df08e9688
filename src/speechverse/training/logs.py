"""What a run logs: scalars by step."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from speechverse.files import disk_full_as_error, write_text


class RunLog:
    """Scalars by step, to `metrics.jsonl` and to TensorBoard."""

    def __init__(self, folder: Path, resumed_at: int | None = None) -> None:
        """Opens the log; what a killed run logged after the step it goes on from is forgotten."""
        from torch.utils.tensorboard import SummaryWriter

        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / "metrics.jsonl"
        if resumed_at is None:
            self.path.unlink(missing_ok=True)
        else:
            self._forget_after(resumed_at)
        self._file = self.path.open("a")
        # TensorBoard forgets what stands from this step on.
        purge = None if resumed_at is None else resumed_at + 1
        self._board = SummaryWriter(str(folder / "tensorboard"), purge_step=purge)

    def _forget_after(self, step: int) -> None:
        lines = self.path.read_text().splitlines() if self.path.exists() else []
        kept = [line for line in lines if (record := _parse(line)) and record["step"] <= step]
        write_text(self.path, "".join(f"{line}\n" for line in kept))

    def scalars(self, step: int, values: Mapping[str, float], **context: Any) -> None:
        """Logs numbers, with context (the stage, what was measured on) that only the JSONL keeps.

        Raises:
            DiskFullError: If there is no room.
        """
        record = {"step": step, "time": round(time.time(), 3), **context, **values}
        with disk_full_as_error(self.path):
            self._file.write(json.dumps(record) + "\n")
            self._file.flush()
            for name, value in values.items():
                self._board.add_scalar(name, value, step)

    def close(self) -> None:
        with disk_full_as_error(self.path), contextlib.closing(self._board):
            self._file.close()

    def __enter__(self) -> RunLog:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def _parse(line: str) -> dict[str, Any] | None:
    """The record of a line; None for the half line that a killed run may leave last."""
    try:
        return json.loads(line)
    except ValueError:
        return None
