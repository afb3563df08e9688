"""The worker process that speaks one shard: `python -m speechverse.world.worker`, a job as JSON in, a line a clip out.

A fresh process for each shard is what makes espeak-ng repeat itself (and lets it crash alone). The shard's folder
appears under its name only when all of it is there.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

from speechverse.errors import SpeechverseError, UserError
from speechverse.world.clip import clip_from_json

RECORD = "shard.json"
"""In a finished shard's folder: the digest of its plan, and the length of each clip."""


def speak_shard(job: dict[str, Any], out: TextIO, told_to_stop: Callable[[], bool]) -> None:
    """Makes the clips of a job and tells of each one on `out`.

    Args:
        job: `folder` (to make), `seed`, `digest` (of the plan), `clips`.
        out: Gets a JSON line {"id", "seconds"} for every clip.
        told_to_stop: Asked after every clip; if so, the process exits and nothing of the shard stays.
    """
    from speechverse.audio.encode import save
    from speechverse.audio.waveform import Waveform
    from speechverse.world.engines import Engines
    from speechverse.world.render import render

    folder = Path(job["folder"])
    aside = folder.with_name(f".{folder.name}.{os.getpid()}")
    aside.mkdir(parents=True)
    try:
        engines = Engines(job["seed"])
        lengths = {}
        for record in job["clips"]:
            clip = clip_from_json(record)
            waveform = Waveform(render(clip, engines))
            save(aside / f"{clip.id}.flac", waveform)
            lengths[clip.id] = len(waveform.samples)
            print(json.dumps({"id": clip.id, "seconds": waveform.duration}), file=out, flush=True)
            if told_to_stop():
                sys.exit(143)
        (aside / RECORD).write_text(json.dumps({"digest": job["digest"], "lengths": lengths}))
        os.replace(aside, folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def main() -> int:
    """Reads a job from standard input; failures are told as a JSON line {"error", "user"}."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to act on
    stop = threading.Event()
    # Only noted: an exit raised while espeak-ng hands over samples would be swallowed there, and the samples lost.
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    out = os.fdopen(os.dup(1), "w")  # espeak-ng may write to standard output itself
    os.dup2(2, 1)
    try:
        speak_shard(json.load(sys.stdin), out, stop.is_set)
    except BrokenPipeError:
        return 1  # the parent is gone
    except (SpeechverseError, OSError) as error:
        print(json.dumps({"error": str(error), "user": isinstance(error, UserError | OSError)}), file=out, flush=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
