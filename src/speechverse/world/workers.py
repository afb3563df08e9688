"""Runs shards in worker processes, so many at a time, a fresh one for each.

A fresh process is what makes espeak-ng repeat itself, and lets it crash alone.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing.queues import SimpleQueue
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

from speechverse.batching import in_batches
from speechverse.errors import DiskFullError, SpeechverseError, UserError, no_room
from speechverse.files import atomic_folder
from speechverse.seeding import fingerprint, hash_seed
from speechverse.types import Seconds
from speechverse.world.clip import Clip

RENDER_VERSION = 1
"""Raise it whenever the same plan is to sound otherwise: shards of before are then made again."""

_RECORD = "shard.json"  # in a finished shard: the digest of its plan, and the samples of each clip

ClipDone = Callable[[str, Seconds], None]
"""Called, one call at a time, with the id and length of each clip that was made."""


@dataclass(frozen=True)
class Shard:
    """A fixed stretch of a corpus that one process speaks; its folder appears when it is whole."""

    folder: Path
    clips: Sequence[Clip]
    seed: int  # for espeak-ng

    @functools.cached_property
    def digest(self) -> str:
        """Hash of all that decides the shard's bytes."""
        clips = [dataclasses.asdict(clip) for clip in self.clips]
        return fingerprint(json.dumps([RENDER_VERSION, self.seed, clips]))

    def lengths(self) -> dict[str, int] | None:
        """Clip → samples, if the shard was made whole of this plan and `RENDER_VERSION`."""
        try:
            record = json.loads((self.folder / _RECORD).read_text())
        except (OSError, ValueError):
            return None
        return dict(record["lengths"]) if record["digest"] == self.digest else None


def cut_into_shards(clips: Sequence[Clip], folder: Path, seed: int, size: int) -> list[Shard]:
    """Shards of `size` clips: what is in one depends on the plan only, never on who works."""
    return [
        Shard(folder / f"{number:05d}", some, hash_seed(seed, folder.name, number))
        for number, some in enumerate(in_batches(clips, size))
    ]


def run_shards(
    shards: Iterable[Shard], num_workers: int, clip_done: ClipDone | None = None
) -> None:
    """Makes all shards; on Ctrl-C or the first failure the workers are stopped and finished shards
    stay.

    Raises:
        DiskFullError: There is no room for a clip.
        UserError: The synth extra is missing, or the folder cannot be written to.
        SpeechverseError: A worker died.
    """
    context = multiprocessing.get_context("spawn")
    done, stop = context.SimpleQueue(), context.Event()
    with ProcessPoolExecutor(
        num_workers, context, _begin, (done, stop), max_tasks_per_child=1
    ) as pool:
        try:
            waiting = {pool.submit(speak_shard, shard): shard for shard in shards}
            for job in waiting:
                job.add_done_callback(lambda _: done.put(None))
            while waiting:
                if (clip := done.get()) is None:
                    for job in [job for job in waiting if job.done()]:
                        _check(job, waiting.pop(job))
                elif clip_done is not None:
                    clip_done(*clip)
        finally:
            stop.set()
            pool.shutdown(cancel_futures=True)


def _check(job: Future[None], shard: Shard) -> None:
    try:
        job.result()
    except BrokenProcessPool:
        raise SpeechverseError(
            f"a speech worker died while making '{shard.folder.parent}'; run it again. In a script"
            " of your own, what makes speech stands under: if __name__ == '__main__':"
        ) from None
    except SpeechverseError as error:
        if full := no_room(str(error)):
            raise DiskFullError(shard.folder, full) from error
        raise


# In the worker

_done: SimpleQueue[Any]
_stop: Event


def _begin(done: SimpleQueue[Any], stop: Event) -> None:
    global _done, _stop
    _done, _stop = done, stop
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to act on
    os.dup2(2, 1)  # espeak-ng may write to standard output, which is the command's
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


class _Stopped(Exception):
    pass


def speak_shard(shard: Shard) -> None:
    """Makes the clips of a shard, and reports each one; nothing of it stays if it is stopped."""
    try:
        with atomic_folder(shard.folder) as folder:
            _speak_into(folder, shard)
    except _Stopped:
        pass
    except (SpeechverseError, OSError) as error:
        # Only errors that are made of one text can be sent to another process.
        kind = UserError if isinstance(error, UserError | OSError) else SpeechverseError
        raise kind(str(error)) from None


def _speak_into(folder: Path, shard: Shard) -> None:
    from speechverse.audio.encode import save
    from speechverse.audio.waveform import Waveform
    from speechverse.world.engines import Engines
    from speechverse.world.synthesis import render

    engines, lengths = Engines(shard.seed), {}
    for clip in shard.clips:
        waveform = Waveform(render(clip, engines))
        save(folder / f"{clip.id}.flac", waveform)
        lengths[clip.id] = len(waveform.samples)
        _done.put((clip.id, waveform.duration))
        if _stop.is_set():
            raise _Stopped
    (folder / _RECORD).write_text(json.dumps({"digest": shard.digest, "lengths": lengths}))
