"""Recordings of strangers as samples: by way of files that are gone afterwards, and of processes
that may crash.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import Queue

import numpy as np

from speechverse.errors import (
    AudioError,
    AudioTooLongError,
    CancelledError,
    SpeechverseError,
    no_room,
)
from speechverse.serving.decoder import READY
from speechverse.serving.limits import environment
from speechverse.serving.settings import ServerSettings
from speechverse.types import SAMPLING_RATE, Seconds

_BLOCK = 2**20


class NoRoomError(SpeechverseError):
    """The disk is full on which recordings are decoded: they are not to blame."""

    def __init__(self) -> None:
        super().__init__("the server has no room for recordings now: come again a little later")


class Samples:
    """A decoded recording in a file: float32 at 16 kHz.

    Attributes:
        duration: In seconds.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.duration: Seconds = path.stat().st_size / 4 / SAMPLING_RATE

    def whole(self) -> np.ndarray:
        """All of it, (T,)."""
        return np.fromfile(self._path, np.float32)

    def blocks(self) -> Iterator[np.ndarray]:
        """Piece by piece, (T,)."""
        with self._path.open("rb") as file:
            while len(block := np.fromfile(file, np.float32, _BLOCK)):
                yield block


class Decoders:
    """Processes that decode, each one recording at a time; one that crashed is replaced."""

    def __init__(self, settings: ServerSettings) -> None:
        self._settings = settings
        self._free: Queue[subprocess.Popen[str] | None] = Queue()
        for _ in range(settings.decoders):
            self._free.put(None)

    @contextmanager
    def decoded(
        self,
        content: bytes,
        seconds: Seconds,
        whole: bool,
        unwanted: Callable[[], bool] = lambda: False,
    ) -> Iterator[Samples]:
        """A recording, as long as the block lasts; waits for a free process.

        Args:
            content: Of the file.
            seconds: The longest allowed; a header that tells of more is enough to refuse it.
            whole: Whether it is resampled in one piece, as for `ask`, or in blocks, as for
                `transcribe`.
            unwanted: Whether nobody waits for it any longer, when a process is free.

        Raises:
            CancelledError: If so.
            AudioError: If it cannot be read, is longer, or decoding takes too much.
            NoRoomError: If the temporary disk is full.
        """
        with tempfile.TemporaryDirectory(prefix="speechverse-") as folder:
            source, target = Path(folder, "recording"), Path(folder, "samples")
            try:
                source.write_bytes(content)
            except OSError as error:
                if no_room(error):
                    raise NoRoomError from error
                raise
            asked = {"source": str(source), "target": str(target), "seconds": seconds}
            answer = self._ask(json.dumps({**asked, "whole": whole}), unwanted)
            if answer.get("no_room"):
                raise NoRoomError
            if told := answer.get("error"):
                raise (AudioTooLongError if answer.get("too_long") else AudioError)(told)
            source.unlink()
            yield Samples(target)

    def close(self) -> None:
        """Ends the processes; none may be at work."""
        while not self._free.empty():
            if process := self._free.get():
                _end(process)

    def _ask(self, line: str, unwanted: Callable[[], bool]) -> dict[str, str]:
        process = self._free.get()
        try:
            if unwanted():
                raise CancelledError("nobody waits for the recording any longer")
            if process is not None and process.poll() is not None:
                _end(process)
                process = None
            process = process or self._start()
            assert process.stdin is not None and process.stdout is not None
            process.stdin.write(line + "\n")
            process.stdin.flush()
            if told := process.stdout.readline():
                answer: dict[str, str] = json.loads(told)
                return answer
            _end(process)
            process = None
            return {"error": "the recording cannot be decoded in the time and memory allowed"}
        except OSError:
            if process:
                _end(process)
            process = None
            return {"error": "the recording could not be decoded; send it again"}
        finally:
            self._free.put(process)

    def _start(self) -> subprocess.Popen[str]:
        limits = (self._settings.decode_memory, self._settings.decode_seconds)
        process = subprocess.Popen(
            [sys.executable, "-m", "speechverse.serving.decoder", *map(str, limits)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment(),
            start_new_session=True,  # Ctrl-C is for the server, which finishes what it took
        )
        if process.stdout is None or process.stdout.readline() != READY:
            _end(process)
            raise SpeechverseError("the process that decodes recordings does not start")
        return process


def _end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()
    for stream in (process.stdin, process.stdout):
        with suppress(OSError):  # what was not written yet is lost with who should read it
            if stream:
                stream.close()
