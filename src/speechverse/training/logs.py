"""What a run logs: scalars by step."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from speechverse.files import append_log, disk_full_as_error, json_line, read_log, write_text


class RunLog:
    """Scalars by step, to `metrics.jsonl` and to TensorBoard."""

    def __init__(self, folder: Path, resumed_at: int | None = None) -> None:
        """Opens the log; what a killed run logged after the step it goes on from is forgotten."""
        from torch.utils.tensorboard import SummaryWriter

        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / "metrics.jsonl"
        logged = [] if resumed_at is None else read_log(self.path)
        kept = [json_line(record) for record in logged if record["step"] <= resumed_at]
        write_text(self.path, "".join(f"{line}\n" for line in kept))
        # TensorBoard forgets what stands from this step on.
        purge = None if resumed_at is None else resumed_at + 1
        self._board = SummaryWriter(str(folder / "tensorboard"), purge_step=purge)

    def scalars(self, step: int, values: Mapping[str, float], **context: Any) -> None:
        """Logs numbers, with context (the stage, what was measured on) that only the JSONL keeps.

        Raises:
            DiskFullError: If there is no room.
        """
        record = {"step": step, "time": round(time.time(), 3), **context, **values}
        with disk_full_as_error(self.path):
            append_log(self.path, [record])
            for name, value in values.items():
                self._board.add_scalar(name, value, step)

    def close(self) -> None:
        with disk_full_as_error(self.path):
            self._board.close()

    def __enter__(self) -> RunLog:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
