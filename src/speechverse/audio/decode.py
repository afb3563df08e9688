"""Any sound a user may have, as 16 kHz mono float32."""

from __future__ import annotations

import contextlib
import io
import math
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from speechverse.audio.address import Address
from speechverse.audio.reading import (
    Extent,
    Fault,
    Source,
    as_float,
    head_of,
    measure,
    mix_down,
    read_blocks,
    read_part,
    refuse_odd_rate,
)
from speechverse.audio.resampling import Resampler, resample
from speechverse.audio.waveform import Waveform
from speechverse.errors import AudioError
from speechverse.files import while_unchanged
from speechverse.types import SAMPLING_RATE, AudioRef, Seconds

AudioSource = (
    str
    | Path
    | AudioRef
    | Address
    | bytes
    | BinaryIO
    | np.ndarray
    | tuple[np.ndarray, int]
    | Waveform
)
"""What `load` takes; samples are of 16 kHz unless a rate is given. A string is a path; what is at
an address is fetched only for an `Address`.
"""

_MOST_PIPED = 2**30
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+:/", re.IGNORECASE)  # `Path` drops the second slash
_MOST_CHANNELS = 64
_LOUDEST = 256.0  # of full scale; samples that were made floating without scaling are larger
_READABLE = "wav, flac, ogg, opus, mp3, aiff, au, m4a, aac, webm, mp4, wma"


def load(source: AudioSource) -> Waveform:
    """Decodes, mixes down to mono and resamples to 16 kHz.

    Arrays are (T,) or (T, channels), floating within -1 to 1 or integer. Of an `AudioRef` only its
    part is decoded where the format allows seeking.

    Raises:
        AudioError: Missing, empty, cut off, not audio, no numbers, or the part lies beyond it; or
            an address from which it cannot be had.
    """
    if isinstance(source, Waveform):
        return _finish(_given(source.samples), source.sampling_rate, "the clip")
    if isinstance(source, np.ndarray):
        return _finish(_given(source), SAMPLING_RATE, "the array")
    if isinstance(source, tuple):
        samples, rate = _pair(source)
        return _finish(samples, rate, "the array")
    if isinstance(source, bytes):
        return _decode(io.BytesIO(source), f"the {len(source)} bytes given")
    if isinstance(source, AudioRef):
        return _load_path(Path(source.path), source.start, source.duration)
    if isinstance(source, Address):
        return _decode(io.BytesIO(source.fetch()), f"'{source}'")
    if isinstance(source, str | Path):
        return _load_path(Path(source))
    if hasattr(source, "read"):
        name = str(getattr(source, "name", "the open file"))
        return _decode(io.BytesIO(_content(source, name)), name)
    raise AudioError(
        f"cannot read audio from a {type(source).__name__}: give a path, bytes, an open file or"
        " samples"
    )


def _given(samples: Any) -> np.ndarray:
    try:
        array = np.asarray(samples)
    except ValueError as error:
        raise AudioError(f"the samples given are no array: {error}") from error
    # Nobody's recording: of 16 bits it would be silence. A number alone is told otherwise.
    if array.ndim and array.dtype in (np.int64, np.uint64):
        raise AudioError(
            f"the array has samples of type {array.dtype}: give them as they were read, such as"
            " int16, or floating and within -1 to 1"
        )
    return array


def _pair(given: tuple[Any, ...]) -> tuple[np.ndarray, int]:
    told = "a tuple is read as (samples, sampling rate in Hz)"
    if len(given) != 2 or isinstance(given[0], str | Path | bytes):
        raise AudioError(f"{told}: one sound at a time is heard here")
    samples, rate = _given(given[0]), given[1]
    if not samples.ndim and np.ndim(rate):
        raise AudioError(f"{told}: these are the other way round")
    try:
        return samples, round(float(rate))
    except (TypeError, ValueError, OverflowError) as error:
        raise AudioError(f"{told}: its rate is {rate!r}, which is no number") from error


def _content(file: Any, name: str) -> bytes:
    try:
        content = file.read()
    except UnicodeDecodeError:
        content = ""
    if not isinstance(content, bytes):
        raise AudioError(f"{name} is open for reading text: open it with mode 'rb'")
    return content


def load_stream(stream: BinaryIO, what: str) -> Waveform:
    """As `load`, of what comes out of a pipe, named `what` in errors; at most 1 GiB."""
    return _decode(io.BytesIO(_read_pipe(stream, what)), what)


def load_blocks(source: AudioSource) -> Iterator[np.ndarray]:
    """As `load`, piece by piece, float32 (T,): a long file takes no more memory than a short one.

    What is no path is in memory already, and what comes out of a pipe or from an address is read as
    a whole.
    """
    path = Path(source) if isinstance(source, str | Path) else None
    if path is None or not stat.S_ISREG(_status(path).st_mode):
        yield load(source).samples
        return
    what, heard, resampler = f"'{path}'", 0, None
    with _faults_of(what):
        for block, rate in read_blocks(str(path), what):
            _refuse_odd(block, rate, what)
            resampler, heard = resampler or Resampler(rate), heard + len(block)
            yield resampler(block)
        if resampler:
            yield resampler.rest()
    if not heard:
        load(path)  # it says why there is nothing


def duration_of(path: str | Path) -> Seconds:
    """Length of an audio file in seconds; see `extent_of`."""
    frames, rate = extent_of(Path(path))
    return frames / rate


def extent_of(path: Path) -> Extent:
    """Length of an audio file in samples of its own rate, from its header or by decoding.

    Raises:
        AudioError: As `load`; and if it is a pipe, which can be read only once.
    """
    status = _status(path)
    if not stat.S_ISREG(status.st_mode):
        raise AudioError(
            f"'{path}' is a pipe, which can be read only once: save what comes out of it as a file"
        )
    with _faults_of(f"'{path}'"):
        found = _measure(str(path.absolute()))
    if found is None:
        raise _no_audio(str(path), f"'{path}'")
    if found.frames == 0:
        raise AudioError(f"'{path}' holds no sound: it has a header but no samples")
    return found


@while_unchanged
def _measure(path: str) -> Extent | None:
    return measure(path, f"'{path}'")


def _status(path: Path) -> os.stat_result:
    try:
        status = os.stat(path)
    except FileNotFoundError:
        raise AudioError(_why_missing(path)) from None
    except OSError as error:
        raise AudioError(f"cannot read '{path}': {error.strerror}") from error
    except ValueError as error:
        raise AudioError(f"cannot read {str(path)!r}: {error}") from error
    if stat.S_ISDIR(status.st_mode):
        raise AudioError(f"'{path}' is a folder: name an audio file in it")
    if stat.S_ISREG(status.st_mode) and status.st_size == 0:
        raise AudioError(f"'{path}' is an empty file (0 bytes): record or copy it again")
    return status


def _why_missing(path: Path) -> str:
    if _ADDRESS.match(str(path)):
        return (
            f"'{path}' is an address, and nothing is fetched from the network unasked: download it"
            " yourself and name the file, or give Python a `speechverse.audio.Address`"
        )
    return f"'{path}' does not exist: check the path (relative paths start at '{Path.cwd()}')"


def _load_path(path: Path, start: Seconds = 0.0, duration: Seconds | None = None) -> Waveform:
    what = f"'{path}'"
    if stat.S_ISREG(_status(path).st_mode):
        return _decode(str(path), what, start, duration)
    with _faults_of(what), path.open("rb") as file:
        content = io.BytesIO(_read_pipe(file, what))
    return _decode(content, what, start, duration)


def _read_pipe(stream: BinaryIO, what: str) -> bytes:
    content = stream.read(_MOST_PIPED + 1)
    if len(content) > _MOST_PIPED:
        raise AudioError(
            f"{what} brings more than {_MOST_PIPED >> 30} GiB; save it as a file and name that"
        )
    return content


def _decode(
    source: Source, what: str, start: Seconds = 0.0, duration: Seconds | None = None
) -> Waveform:
    if not 0 <= start < math.inf or not (duration is None or 0 < duration < math.inf):
        raise AudioError(
            f"{what}: a part must start at 0 s or later and last longer than 0 s, not {start} s +"
            f" {duration} s"
        )
    if isinstance(source, io.BytesIO) and not source.getbuffer().nbytes:
        raise AudioError(f"{what} is empty (0 bytes): record or copy it again")
    with _faults_of(what):
        piece = read_part(source, start, duration, what)
    if piece is None:
        raise _no_audio(source, what)
    ends = piece.end / piece.rate
    if not len(piece.samples) and 0 < ends <= start:
        raise AudioError(f"{what} is only {ends:.2f} s long: it has no part from {start:g} s")
    heard = len(piece.samples) / piece.rate
    if duration is not None and heard < duration - 0.1:
        raise AudioError(
            f"{what} ends at {start + heard:.2f} s: no part from {start:g} s lasts {duration:g} s"
        )
    return _finish(piece.samples, piece.rate, what)


@contextlib.contextmanager
def _faults_of(what: str) -> Iterator[None]:
    try:
        yield
    except Fault as fault:
        raise AudioError(f"{what} {fault}") from fault
    except OSError as error:
        raise AudioError(f"cannot read {what}: {error.strerror or error}") from error


def _no_audio(source: Source, what: str) -> AudioError:
    with _faults_of(what):
        head = head_of(source)
    printable = sum(byte in b"\t\r\n" or 32 <= byte < 127 for byte in head)
    if head[:4] in (b"RIFF", b"RF64", b"fLaC", b"OggS", b"\x1aE\xdf\xa3") or head[4:8] == b"ftyp":
        kind = "its header is damaged or cut off"
    else:
        kind = "it looks like text" if printable > 0.95 * len(head) else "its kind is unknown"
    return AudioError(f"{what} is not audio that can be read ({kind}); readable are {_READABLE}")


def _finish(samples: np.ndarray, rate: int, what: str) -> Waveform:
    """Scales integers, mixes down, checks and resamples."""
    samples = np.asarray(samples)
    if samples.ndim not in (1, 2):
        raise AudioError(
            f"{what} has shape {samples.shape}: samples must be (time,) or (time, channels)"
        )
    if samples.size == 0:
        raise AudioError(f"{what} holds no sound: it has no samples")
    if samples.ndim == 2 and samples.shape[1] > _MOST_CHANNELS:
        raise AudioError(
            f"{what} has shape {samples.shape}, {samples.shape[1]} channels: give samples as (time,"
            " channels)"
        )
    with _faults_of(what):
        mono = as_float(samples)
        mono = mono if mono.ndim == 1 else mix_down(mono)
        _refuse_odd(mono, rate, what)
    heard = resample(np.ascontiguousarray(mono), rate)
    if not len(heard):
        raise AudioError(
            f"{what} holds no sound: {len(mono)} samples at {rate} Hz are not one at"
            f" {SAMPLING_RATE} Hz"
        )
    return Waveform(heard, SAMPLING_RATE)


def _refuse_odd(mono: np.ndarray, rate: int, what: str) -> None:
    refuse_odd_rate(rate)
    if not np.all(np.isfinite(mono)):
        raise AudioError(
            f"{what} has samples that are not numbers (NaN or infinite): export it again"
        )
    if len(mono) and max(-float(mono.min()), float(mono.max())) > _LOUDEST:
        raise AudioError(
            f"{what} has floating samples as large as {np.abs(mono).max():.0f}: they are within -1"
            " to 1; divide those of 16 bits by 32768"
        )
