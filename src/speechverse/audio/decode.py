"""Any sound a user may have, as 16 kHz mono float32: soundfile first, PyAV for what it cannot read.

What is read is checked: a clip that is missing, empty, cut off, not audio or not numbers is an
`AudioError` that says so.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import soundfile

from speechverse.audio.riff import missing_bytes
from speechverse.audio.waveform import Waveform
from speechverse.errors import AudioError
from speechverse.types import SAMPLING_RATE, AudioRef, Seconds

AudioSource = str | Path | AudioRef | bytes | BinaryIO | np.ndarray | tuple[np.ndarray, int] | Waveform
"""What `load` takes: a path, part of a file, a file's bytes, an open file, samples (16 kHz unless a rate is given)."""

_SLOWEST, _FASTEST = 1_000, 768_000  # Hz
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


def duration_of(path: str | Path) -> Seconds:
    """Length of an audio file in seconds, from its header where it has one; decodes only what has none.

    Raises:
        AudioError: As `load`.
    """
    path = Path(path)
    _check_path(path)
    try:
        info = soundfile.info(str(path))
    except soundfile.SoundFileError:
        return load(path).duration
    if info.frames <= 0:
        raise AudioError(f"'{path}' holds no sound: it has a header but no samples")
    return float(info.frames) / float(info.samplerate)


def resample(samples: np.ndarray, rate: float) -> np.ndarray:
    """Resamples mono float32 (T,) from a rate in Hz to 16 kHz; the same array where that is its rate."""
    if rate == SAMPLING_RATE:
        return samples
    import soxr

    return np.asarray(soxr.resample(samples, rate, SAMPLING_RATE, quality="HQ"), dtype=np.float32)


def _check_path(path: Path) -> None:
    try:
        if path.is_dir():
            raise AudioError(f"'{path}' is a folder: name an audio file in it")
        if not path.exists():
            raise AudioError(f"'{path}' does not exist: check the path (relative paths start at '{Path.cwd()}')")
        size = path.stat().st_size
    except OSError as error:
        raise AudioError(f"cannot read '{path}': {error.strerror}") from error
    if size == 0:
        raise AudioError(f"'{path}' is an empty file (0 bytes): record or copy it again")


def _load_path(path: Path, start: Seconds, duration: Seconds | None) -> Waveform:
    _check_path(path)
    try:
        with path.open("rb") as file:
            return _load_file(file, f"'{path}'", start, duration)
    except OSError as error:
        raise AudioError(f"cannot read '{path}': {error.strerror or error}") from error


def _load_file(file: BinaryIO, what: str, start: Seconds, duration: Seconds | None) -> Waveform:
    if start < 0 or (duration is not None and duration <= 0):
        raise AudioError(
            f"{what}: a part must start at 0 s or later and last longer than 0 s, not {start} s + {duration} s"
        )
    _refuse_empty_or_cut(file, what)
    samples, rate = _decode(file, what, start, duration)
    if duration is not None and len(samples) < (duration - 0.1) * rate:
        raise AudioError(
            f"{what} ends at {start + len(samples) / rate:.2f} s: no part from {start:g} s lasts {duration:g} s"
        )
    return _finished(samples, rate, what)


def _refuse_empty_or_cut(file: BinaryIO, what: str) -> None:
    head = file.read(1)
    if not head:
        raise AudioError(f"{what} is empty (0 bytes): record or copy it again")
    file.seek(0)
    missing = missing_bytes(file)
    file.seek(0)
    if missing:
        raise AudioError(
            f"{what} is cut off: {missing} bytes of the sound its header tells of are missing; copy it again"
        )


def _decode(file: BinaryIO, what: str, start: Seconds, duration: Seconds | None) -> tuple[np.ndarray, int]:
    readers: tuple[Callable[..., tuple[np.ndarray, int] | None], ...] = (_read_soundfile, _read_av)
    for read in readers:
        file.seek(0)
        decoded = read(file, what, start, duration)
        if decoded is not None:
            return decoded
    raise AudioError(f"{what} is not audio that can be read ({_looks_like(file)}); readable are {_READABLE}")


def _read_soundfile(
    file: BinaryIO, what: str, start: Seconds, duration: Seconds | None
) -> tuple[np.ndarray, int] | None:
    try:
        opened = soundfile.SoundFile(file)
    except soundfile.SoundFileError:
        return None
    with opened as sound:
        rate = sound.samplerate
        first = round(start * rate)
        if 0 < sound.frames <= first:
            raise AudioError(f"{what} is only {sound.frames / rate:.2f} s long: it has no part from {start:g} s")
        frames = -1 if duration is None else round(duration * rate)
        try:
            sound.seek(first)
            samples = sound.read(frames, dtype="float32", always_2d=True)
        except (soundfile.SoundFileError, RuntimeError) as error:
            raise AudioError(
                f"{what} is broken at some point of its sound ({error}); copy or convert it again"
            ) from error
        if sound.format == "FLAC" and frames < 0 and len(samples) < sound.frames - first:
            raise AudioError(
                f"{what} is cut off: {sound.frames} samples were promised, {first + len(samples)} are there"
            )
    return samples, rate


def _read_av(file: BinaryIO, what: str, start: Seconds, duration: Seconds | None) -> tuple[np.ndarray, int] | None:
    try:
        import av
    except ImportError:
        return None
    stop = None if duration is None else start + duration
    try:
        with av.open(file) as container:
            if not container.streams.audio:
                raise AudioError(f"{what} has no sound track; {_READABLE} can be read")
            return _collect_av_frames(container, container.streams.audio[0], start, stop)
    except (av.error.FFmpegError, ValueError):
        return None


def _collect_av_frames(container: Any, stream: Any, start: Seconds, stop: Seconds | None) -> tuple[np.ndarray, int]:
    rate = int(stream.rate)
    import av

    flatten = av.AudioResampler(format="fltp", rate=rate)
    first, last = round(start * rate), None if stop is None else round(stop * rate)
    pieces: list[np.ndarray] = []
    position = 0
    for frame in container.decode(stream):
        for piece in flatten.resample(frame):
            kept = slice(max(0, first - position), None if last is None else max(0, last - position))
            pieces.append(piece.to_ndarray().T[kept])
            position += piece.samples
        if last is not None and position >= last:
            break
    return np.concatenate(pieces) if pieces else np.zeros((0, 1), dtype=np.float32), rate


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
    if not _SLOWEST <= rate <= _FASTEST:
        raise AudioError(f"{what} says its sampling rate is {rate} Hz; {_SLOWEST} to {_FASTEST} Hz can be read")
    mono = _mixed_down(_as_float(samples, what), what)
    if not np.all(np.isfinite(mono)):
        raise AudioError(f"{what} has samples that are not numbers (NaN or infinite): export it again")
    return Waveform(resample(np.ascontiguousarray(mono), rate), SAMPLING_RATE)


def _as_float(samples: np.ndarray, what: str) -> np.ndarray:
    if samples.dtype == np.uint8:
        return (samples.astype(np.float32) - 128.0) / 128.0
    if np.issubdtype(samples.dtype, np.signedinteger):
        return samples.astype(np.float32) / float(-np.iinfo(samples.dtype).min)
    if np.issubdtype(samples.dtype, np.floating):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # overflow to infinity is refused later
            return samples.astype(np.float32)
    raise AudioError(f"{what} has samples of type {samples.dtype}; floating, int16, int32 or uint8 can be read")


def _mixed_down(samples: np.ndarray, what: str) -> np.ndarray:
    if samples.ndim == 1:
        return samples
    if samples.shape[1] > 64:
        raise AudioError(
            f"{what} has shape {samples.shape}, {samples.shape[1]} channels: give samples as (time, channels)"
        )
    return np.asarray(samples.mean(axis=1, dtype=np.float32))
