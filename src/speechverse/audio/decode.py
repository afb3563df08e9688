"""Any sound a user may have, as 16 kHz mono float32: soundfile first, PyAV for what it cannot read.

What is read is checked: a clip that is missing, empty, cut off, not audio or not numbers is an
`AudioError` that says so.
"""

from __future__ import annotations

import contextlib
import functools
import io
import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np

from speechverse.audio.chain import links_of
from speechverse.audio.link import Fault, Link, read_at
from speechverse.audio.reading import Extent, Piece, as_float, extents_of, mixed_down, read_link, refuse_odd_rate
from speechverse.audio.resampling import resample
from speechverse.audio.waveform import Waveform
from speechverse.errors import AudioError
from speechverse.types import SAMPLING_RATE, AudioRef, Seconds

AudioSource = str | Path | AudioRef | bytes | BinaryIO | np.ndarray | tuple[np.ndarray, int] | Waveform
"""What `load` takes: a path, part of a file, a file's bytes, an open file, samples (16 kHz unless a rate is given)."""

_MOST_PIPED = 2**30
_READABLE = "wav, flac, ogg, opus, mp3, aiff, au, and with PyAV m4a, aac, webm, mp4, wma"


def load(source: AudioSource) -> Waveform:
    """Decodes, mixes down to mono and resamples to 16 kHz.

    Args:
        source: See `AudioSource`. Arrays are (T,) or (T, channels), floating within -1 to 1 or integer.

    Returns:
        The clip; of an `AudioRef` only its part, without decoding what comes before where the format allows seeking.

    Raises:
        AudioError: Missing, empty, cut off, not audio, not numbers, or the part lies beyond the end.
    """
    if isinstance(source, Waveform):
        return _finished(source.samples, source.sampling_rate, "the clip")
    if isinstance(source, np.ndarray):
        return _finished(source, SAMPLING_RATE, "the array")
    if isinstance(source, tuple):
        return _finished(source[0], int(source[1]), "the array")
    if isinstance(source, bytes):
        return _load_file(io.BytesIO(source), f"the {len(source)} bytes given", 0.0, None)
    if isinstance(source, AudioRef):
        return _load_path(Path(source.path), source.start, source.duration)
    if isinstance(source, str | Path):
        return _load_path(Path(source), 0.0, None)
    if hasattr(source, "read"):
        return _load_file(io.BytesIO(source.read()), str(getattr(source, "name", "the open file")), 0.0, None)
    raise AudioError(f"cannot read audio from a {type(source).__name__}: give a path, bytes, an open file or samples")


def load_stream(stream: BinaryIO, what: str) -> Waveform:
    """As `load`, of what comes out of a pipe.

    Args:
        stream: Open for reading; it is read to its end, at most 1 GiB.
        what: Names it in errors.

    Raises:
        AudioError: As `load`; and if more comes.
    """
    return _load_file(io.BytesIO(_piped(stream, what)), what, 0.0, None)


def duration_of(path: str | Path) -> Seconds:
    """Length of an audio file in seconds, as `load` hears it; see `extents` for when it is decoded.

    Raises:
        AudioError: As `extents`.
    """
    return sum(extent.frames / extent.rate for extent in extents(Path(path)))


def extents(path: Path) -> Sequence[Extent]:
    """Length of each stretch of an audio file, in samples of its own rate; several where files were joined.

    The header tells it where that is known to be true; else the file is decoded, once as long as it stays as it is.

    Raises:
        AudioError: As `load`; and if it is a pipe, which can be read only once.
    """
    status, what = _status(path), f"'{path}'"
    if not stat.S_ISREG(status.st_mode):
        raise AudioError(f"{what} is a pipe, which can be read only once: save what comes out of it as a file")
    known = _known(path, status)
    if known.extents is not None:
        return known.extents
    with _opened(path) as (file, _):
        with _faults_of(what):
            found = [extents_of(file, link) for link in _links(file, what, known)]
        if not all(found):
            raise _no_audio(file, what)
        joined = [extent for of_link in found for extent in of_link if extent.frames]
    if not joined:
        raise AudioError(f"{what} holds no sound: it has a header but no samples")
    known.extents = joined
    return joined


def _status(path: Path) -> os.stat_result:
    try:
        status = os.stat(path)
    except FileNotFoundError:
        raise AudioError(f"'{path}' does not exist: check the path (relative paths start at '{Path.cwd()}')") from None
    except OSError as error:
        raise AudioError(f"cannot read '{path}': {error.strerror}") from error
    except ValueError as error:
        raise AudioError(f"cannot read {str(path)!r}: {error}") from error
    if stat.S_ISDIR(status.st_mode):
        raise AudioError(f"'{path}' is a folder: name an audio file in it")
    if stat.S_ISREG(status.st_mode) and status.st_size == 0:
        raise AudioError(f"'{path}' is an empty file (0 bytes): record or copy it again")
    return status


def _load_path(path: Path, start: Seconds, duration: Seconds | None) -> Waveform:
    with _opened(path) as (file, known):
        return _load_file(file, f"'{path}'", start, duration, known)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[tuple[BinaryIO, _Known | None]]:
    """A file open for reading, with what is known of it; a pipe is read to its end first."""
    status = _status(path)
    try:
        with path.open("rb") as file:
            if stat.S_ISREG(status.st_mode):
                yield file, _known(path, status)
            else:
                yield io.BytesIO(_piped(file, f"'{path}'")), None
    except OSError as error:
        raise AudioError(f"cannot read '{path}': {error.strerror or error}") from error


def _piped(stream: BinaryIO, what: str) -> bytes:
    content = stream.read(_MOST_PIPED + 1)
    if len(content) > _MOST_PIPED:
        raise AudioError(f"{what} brings more than {_MOST_PIPED >> 30} GiB; save it as a file and name that")
    return content


def _load_file(
    file: BinaryIO, what: str, start: Seconds, duration: Seconds | None, known: _Known | None = None
) -> Waveform:
    if not start >= 0 or not (duration is None or duration > 0):
        raise AudioError(
            f"{what}: a part must start at 0 s or later and last longer than 0 s, not {start} s + {duration} s"
        )
    with _faults_of(what):
        pieces = _read(file, _links(file, what, known), start, duration)
    if not pieces:
        raise _no_audio(file, what)
    if not any(len(piece.samples) for piece in pieces):
        whole = sum(piece.passed / piece.rate for piece in pieces)
        if 0 < whole <= start:
            raise AudioError(f"{what} is only {whole:.2f} s long: it has no part from {start:g} s")
    if duration is not None:
        _refuse_short(what, start, duration, sum(len(piece.samples) / piece.rate for piece in pieces))
    return _put_together(pieces, what)


def _read(file: BinaryIO, links: Sequence[Link], start: Seconds, duration: Seconds | None) -> list[Piece]:
    """The pieces of a part, with those before it, empty; none if one of the links is no audio that can be read."""
    pieces: list[Piece] = []
    for link in links:
        passed = sum(piece.passed / piece.rate for piece in pieces)
        heard = sum(len(piece.samples) / piece.rate for piece in pieces)
        left = None if duration is None else duration - heard
        if left is not None and left * SAMPLING_RATE < 0.5:
            break
        found = read_link(file, link, 0.0 if heard else max(0.0, start - passed), left)
        if not found:
            return []
        pieces += found
    return pieces


def _refuse_short(what: str, start: Seconds, duration: Seconds, heard: Seconds) -> None:
    if heard < duration - 0.1:
        raise AudioError(f"{what} ends at {start + heard:.2f} s: no part from {start:g} s lasts {duration:g} s")


def _put_together(pieces: Sequence[Piece], what: str) -> Waveform:
    """One clip of all pieces, which are resampled as one where their rate is the same."""
    rates = {piece.rate for piece in pieces}
    if len(rates) == 1:
        samples = [piece.samples for piece in pieces]
        return _finished(samples[0] if len(samples) == 1 else np.concatenate(samples), rates.pop(), what)
    parts = [_finished(piece.samples, piece.rate, what).samples for piece in pieces if len(piece.samples)]
    if not parts:  # none of the links has any, or the part is shorter than a sample
        raise AudioError(f"{what} holds no sound: it has no samples")
    return Waveform(np.concatenate(parts), SAMPLING_RATE)


@contextlib.contextmanager
def _faults_of(what: str) -> Iterator[None]:
    try:
        yield
    except Fault as fault:
        raise AudioError(f"{what} {fault}") from fault


def _no_audio(file: BinaryIO, what: str) -> AudioError:
    return AudioError(f"{what} is not audio that can be read ({_looks_like(file)}); readable are {_READABLE}")


class _Known:
    """What was found out of a file, and would be dear to find out again.

    Attributes:
        links: Its links.
        extents: How long they are.
    """

    __slots__ = ("extents", "links")

    def __init__(self) -> None:
        self.links: Sequence[Link] | None = None
        self.extents: Sequence[Extent] | None = None


def _known(path: Path, status: os.stat_result) -> _Known:
    """What is known of a file as it is now, by size and time."""
    return _remembered(os.path.abspath(path), status.st_size, status.st_mtime_ns)


@functools.lru_cache(maxsize=2**17)
def _remembered(path: str, size: int, changed: int) -> _Known:
    return _Known()


def _links(file: BinaryIO, what: str, known: _Known | None) -> Sequence[Link]:
    if known is not None and known.links is not None:
        return known.links
    if not read_at(file, 0, 1):
        raise Fault("is empty (0 bytes): record or copy it again")
    links = links_of(file, what)
    if known is not None:
        known.links = links
    return links


def _looks_like(file: BinaryIO) -> str:
    file.seek(0)
    head = file.read(512)
    if head[:4] in (b"RIFF", b"RF64", b"fLaC", b"OggS"):
        return "its header is damaged or cut off"
    printable = sum(byte in b"\t\r\n" or 32 <= byte < 127 for byte in head)
    return "it looks like text" if printable > 0.95 * len(head) else "its kind is unknown"


def _finished(samples: np.ndarray, rate: int, what: str) -> Waveform:
    """Scales integers, mixes down, checks and resamples."""
    samples = np.asarray(samples)
    if samples.ndim not in (1, 2):
        raise AudioError(f"{what} has shape {samples.shape}: samples must be (time,) or (time, channels)")
    if samples.size == 0:
        raise AudioError(f"{what} holds no sound: it has no samples")
    with _faults_of(what):
        refuse_odd_rate(rate)
        mono = _mixed_down(samples, what)
    if not np.all(np.isfinite(mono)):
        raise AudioError(f"{what} has samples that are not numbers (NaN or infinite): export it again")
    return Waveform(resample(np.ascontiguousarray(mono), rate), SAMPLING_RATE)


def _mixed_down(samples: np.ndarray, what: str) -> np.ndarray:
    if samples.ndim == 1:
        return as_float(samples)
    if samples.shape[1] > 64:
        raise AudioError(
            f"{what} has shape {samples.shape}, {samples.shape[1]} channels: give samples as (time, channels)"
        )
    return mixed_down(samples)
