"""`python -m speechverse.serving.decoder`: decodes recordings of strangers, with limits, in a
process of its own.

A line of JSON in asks for one, a line out tells of it; samples go through a file. So nothing that
a broken decoder could write is run or unpickled by who asked.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from typing import Any, BinaryIO

import soundfile

from speechverse.audio import load, load_blocks
from speechverse.errors import AudioError, AudioTooLongError, no_room
from speechverse.serving.limits import limit
from speechverse.types import SAMPLING_RATE, Seconds

READY = "ready\n"
"""What is written first."""
_MOST_FRAMES = 2**40
"""libsndfile gives more where a header leaves the length open."""


def main() -> None:
    """Answers line by line until there are no more."""
    memory, processor = map(int, sys.argv[1:])
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no answer
    limit(resource.RLIMIT_AS, memory)
    limit(resource.RLIMIT_CORE, 0)
    answers.write(READY)
    answers.flush()
    for line in sys.stdin:
        used = resource.getrusage(resource.RUSAGE_SELF)
        limit(resource.RLIMIT_CPU, int(used.ru_utime + used.ru_stime) + 1 + processor)
        answers.write(json.dumps(_answer(json.loads(line))) + "\n")
        answers.flush()


def _answer(asked: dict[str, Any]) -> dict[str, Any]:
    try:
        with open(asked["target"], "wb") as file:
            return {"samples": _decode(asked["source"], asked["seconds"], asked["whole"], file)}
    except AudioError as error:
        told = str(error).replace(f"'{asked['source']}'", "the recording")
        return {"error": told, "too_long": isinstance(error, AudioTooLongError)}
    except MemoryError:
        return {"error": "decoding the recording takes more memory than is allowed"}
    except Exception as error:
        # A full disk, or a decoder's own fault, at which the next file is not to blame.
        told = f"the recording cannot be read ({type(error).__name__})"
        return {"error": told, "no_room": no_room(error) is not None}


def _decode(source: str, seconds: Seconds, whole: bool, file: BinaryIO) -> int:
    """Writes float32 at 16 kHz, all or nothing; by its header where that tells the length."""
    _refuse_by_header(source, seconds)
    written = 0
    for block in load_blocks(source):
        written += len(block)
        if written > seconds * SAMPLING_RATE:
            raise _too_long(seconds)
        if not whole:
            file.write(block.data)  # unlike `tofile` it says why it could not
    if whole:  # short clips are resampled in one piece, as `ask` does
        samples = load(source).samples
        file.write(samples.data)
        written = len(samples)
    return written


def _refuse_by_header(source: str, seconds: Seconds) -> None:
    try:
        about = soundfile.info(source)
    except (soundfile.SoundFileError, RuntimeError):
        return  # it is for FFmpeg, or no audio: that is told while it is decoded
    if _MOST_FRAMES > about.frames > seconds * about.samplerate:
        raise _too_long(seconds, about.frames / about.samplerate)


def _too_long(seconds: Seconds, told: Seconds | None = None) -> AudioTooLongError:
    is_long = "is longer" if told is None else f"lasts {told:,.1f} s by its header, which is longer"
    return AudioTooLongError(f"the recording {is_long} than the {seconds:g} s that are heard here")


if __name__ == "__main__":
    main()
