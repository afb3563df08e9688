"""Runs shards in worker processes: a fresh one each, so many at a time, told to stop when the caller is."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from speechverse.errors import DiskFullError, SpeechverseError, UserError, no_room
from speechverse.seeding import hash_seed
from speechverse.types import Seconds
from speechverse.world.clip import Clip
from speechverse.world.engines import NEURAL, engine_name
from speechverse.world.making import making_digest
from speechverse.world.worker import RECORD

_TAIL_BYTES = 2000

ClipDone = Callable[[str, Seconds], None]
"""Called, one call at a time, with the id and length of each clip that was made."""


@dataclass(frozen=True)
class Shard:
    """A fixed stretch of a corpus that one process speaks.

    Attributes:
        folder: Where its clips go; it appears when all are there.
        clips: In order.
        seed: For espeak-ng.
    """

    folder: Path
    clips: Sequence[Clip]
    seed: int

    @functools.cached_property
    def digest(self) -> str:
        """sha256 over all that decides the shard's bytes."""
        neural = any(engine_name(turn.voice) in NEURAL for clip in self.clips for turn in clip.turns)
        return hashlib.sha256(json.dumps([self.seed, self._records(), making_digest(neural)]).encode()).hexdigest()

    @property
    def job(self) -> dict[str, Any]:
        """What the worker is told."""
        return {"folder": str(self.folder), "seed": self.seed, "digest": self.digest, "clips": self._records()}

    def lengths(self) -> dict[str, int] | None:
        """Clip → samples, if the shard was made whole from this very plan, and as clips are made now."""
        try:
            record = json.loads((self.folder / RECORD).read_text())
        except (OSError, ValueError):
            return None
        return dict(record["lengths"]) if record["digest"] == self.digest else None

    def _records(self) -> list[dict[str, Any]]:
        return [dataclasses.asdict(clip) for clip in self.clips]


def cut_into_shards(clips: Sequence[Clip], folder: Path, seed: int, size: int) -> list[Shard]:
    """Shards of `size` clips: what is in one depends on the plan only, never on who works."""
    starts = range(0, len(clips), size)
    return [
        Shard(folder / f"{number:05d}", clips[start : start + size], hash_seed(seed, folder.name, number))
        for number, start in enumerate(starts)
    ]


def run_shards(shards: Iterable[Shard], num_workers: int, clip_done: ClipDone | None = None) -> None:
    """Makes all shards; on Ctrl-C or the first failure the workers are stopped and finished shards stay.

    Raises:
        DiskFullError: There is no room for a clip.
        UserError: The synth extra is missing, or the folder cannot be written to.
        SpeechverseError: A worker failed otherwise.
    """
    crew = _Crew(clip_done)
    with ThreadPoolExecutor(max_workers=num_workers) as pool:
        jobs = [pool.submit(crew.run, shard) for shard in shards]
        try:
            done, _ = wait(jobs, return_when=FIRST_EXCEPTION)
            for job in done:
                job.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            crew.stop()


class _Crew:
    """The processes now at work."""

    def __init__(self, clip_done: ClipDone | None) -> None:
        self._clip_done = clip_done
        self._lock = threading.Lock()
        self._working: set[subprocess.Popen[str]] = set()
        self._stopped = False

    def stop(self) -> None:
        with self._lock:
            self._stopped = True
            for process in self._working:
                process.terminate()

    def run(self, shard: Shard) -> None:
        with tempfile.TemporaryFile() as stderr:  # a file, as nobody reads a pipe while clips are made
            self._make(shard, stderr)

    def _make(self, shard: Shard, stderr: IO[bytes]) -> None:
        process = self._start(stderr)
        if process is None:
            return
        try:
            failure = self._talk(process, json.dumps(shard.job))
            status = process.wait()
            if status != 0 and not self._stopped:
                raise _worded(failure, status, shard, _tail(stderr))
        finally:
            process.kill()
            process.wait()
            with self._lock:
                self._working.discard(process)

    def _start(self, stderr: IO[bytes]) -> subprocess.Popen[str] | None:
        with self._lock:
            if self._stopped:
                return None
            process = subprocess.Popen(
                [sys.executable, "-m", "speechverse.world.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                env=_environment(),
            )
            self._working.add(process)
            return process

    def _talk(self, process: subprocess.Popen[str], job: str) -> dict[str, Any] | None:
        assert process.stdin is not None and process.stdout is not None
        try:
            with process.stdin as told:
                told.write(job)
        except BrokenPipeError:
            pass  # it died before it read; its exit status says so
        failure = None
        with process.stdout as lines:
            for line in lines:
                message = json.loads(line)
                if "error" in message:
                    failure = message
                elif self._clip_done is not None:
                    with self._lock:
                        self._clip_done(message["id"], message["seconds"])
        return failure


def _environment() -> dict[str, str]:
    """The worker finds the package where this process found it; one thread each, as there is one process a core."""
    root = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join(part for part in (root, os.environ.get("PYTHONPATH")) if part)
    return {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def _tail(stderr: IO[bytes]) -> str:
    """The end of what a worker said in its distress."""
    stderr.seek(max(0, stderr.seek(0, os.SEEK_END) - _TAIL_BYTES))
    return stderr.read().decode(errors="replace").strip()


def _worded(failure: dict[str, Any] | None, status: int, shard: Shard, said: str) -> SpeechverseError:
    if failure is None:
        last_words = f"; it said last:\n{said}" if said else ""
        return SpeechverseError(
            f"the speech worker died (status {status}) while making '{shard.folder}'; run it again{last_words}"
        )
    if full := no_room(failure["error"]):
        return DiskFullError(shard.folder, full)
    return (UserError if failure["user"] else SpeechverseError)(failure["error"])
