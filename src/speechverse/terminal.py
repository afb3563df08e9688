"""What people see of long work: a line on stderr, a bar on a terminal."""

from __future__ import annotations

import os
import sys
import time
from datetime import timedelta

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as LiveBars

from speechverse.progress import Advance
from speechverse.types import Seconds


def is_main_process() -> bool:
    """Whether this is the process that speaks, of those that a launcher started."""
    return os.environ.get("RANK", "0") == "0"


def say(text: str) -> None:
    """Prints to stderr, for people, once for all processes; stdout is left to results."""
    if text and is_main_process():
        print(text, file=sys.stderr, flush=True)


class Progress:
    """A bar with numbers on a terminal; elsewhere a plain line every `every` seconds."""

    def __init__(
        self, title: str, total: int, done: int = 0, every: Seconds = 15.0, quiet: bool = False
    ) -> None:
        """Shows inside a `with` block, unless it is quiet or another process speaks."""
        self.title, self.total, self.done, self.every = title, total, done, every
        self.quiet = quiet or not is_main_process()
        self._first = done  # by an earlier run, so not part of this one's pace
        self._numbers = ""
        self._start = self._last = time.monotonic()
        console = Console(stderr=True)
        self._bars = LiveBars(
            *(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()),
            *(TextColumn("{task.fields[numbers]}"), TextColumn("left"), TimeRemainingColumn()),
            console=console,
            refresh_per_second=4,
            disable=self.quiet or not console.is_terminal,
        )
        self._bar = self._bars.add_task(title, total=total, completed=done, numbers="")

    def advance(self, steps: int = 1, **numbers: float | str) -> None:
        """Counts steps as done; numbers given (loss, throughput, ...) replace those shown."""
        self.done += steps
        if numbers:
            self._numbers = "  ".join(f"{name} {_short(value)}" for name, value in numbers.items())
        self._show()

    def begin(self, title: str, total: int) -> Advance:
        """Begins another part of the work, told at once; gives what counts it (a `Watch`)."""
        self.title, self.total, self.done, self._first = title, total, 0, 0
        self._start = time.monotonic()  # else the pace of one part foretells another's end
        self._bars.reset(self._bar, total=total, completed=0, description=title)
        self._show(at_once=True)
        return self.advance

    def _show(self, at_once: bool = False) -> None:
        self._bars.update(
            self._bar,
            description=self.title,
            total=self.total,
            completed=self.done,
            numbers=self._numbers,
        )
        if self._bars.disable and (at_once or time.monotonic() - self._last >= self.every):
            self._print_line()

    def say(self, text: str) -> None:
        """Prints a line above the bar."""
        if not self._bars.disable:
            self._bars.console.print(text, markup=False, highlight=False)
        elif not self.quiet:
            say(text)

    def _print_line(self) -> None:
        self._last = time.monotonic()
        pace = (self.done - self._first) / max(self._last - self._start, 1e-9)
        left = f"left {_clock((self.total - self.done) / pace)}" if pace > 0 else ""
        self.say(
            "  ".join(filter(None, (f"{self.title} {self.done}/{self.total}", self._numbers, left)))
        )

    def __enter__(self) -> Progress:
        self._bars.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._bars.stop()
        if self._bars.disable and self.done > self._first:
            self._print_line()


def _short(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.4g}"


def _clock(seconds: Seconds) -> str:
    return str(timedelta(seconds=round(seconds))).removeprefix("0:")
