"""Samples of one link, block by block and mixed down: by libsndfile, and by FFmpeg (PyAV) what that cannot read."""

from __future__ import annotations

import contextlib
import io
import os
import warnings
from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import soundfile

from speechverse.audio.link import Fault, Link, Stretch, size_of

_BLOCK = 2**20
_SLOWEST, _FASTEST = 1_000, 768_000  # Hz
_KNOWN_LENGTH = frozenset(
    "PCM_S8 PCM_U8 PCM_16 PCM_24 PCM_32 FLOAT DOUBLE ULAW ALAW GSM610 IMA_ADPCM MS_ADPCM "
    "VORBIS OPUS MPEG_LAYER_III".split()
)
"""Subtypes whose length libsndfile reckons from what has been checked here."""


class Piece(NamedTuple):
    """Part of a link's sound.

    Attributes:
        samples: float32 (T,), mixed down.
        rate: Hz.
        passed: Samples that the link has of this rate, up to the end of this part.
    """

    samples: np.ndarray
    rate: int
    passed: int


class Extent(NamedTuple):
    """How long a sound is.

    Attributes:
        frames: Samples of one channel.
        rate: Hz.
    """

    frames: int
    rate: int


def read_link(file: BinaryIO, link: Link, first: float, length: float | None) -> list[Piece]:
    """Decodes part of a link.

    Args:
        file: The file it lies in, open for reading.
        link: Which.
        first: Where the part begins, in seconds from the link's start; beyond its end the part is empty.
        length: How long it is, in seconds; None means to the link's end.

    Returns:
        Pieces that follow each other, one for each rate; none if it is no audio that can be read.

    Raises:
        Fault: If it is broken.
    """
    with _opened(file, link) as sound:
        if sound is not None:
            return [_read_soundfile(sound, first, length)]
    return _joined(_av_blocks(Stretch(file, link)), first, length)


def extents_of(file: BinaryIO, link: Link) -> list[Extent]:
    """Length of a link, from its header where that is known to be true, else by decoding it.

    Returns:
        One for each rate it goes through; none if it is no audio that can be read.

    Raises:
        Fault: If it is broken.
    """
    with _opened(file, link) as sound:
        if sound is not None:
            if not (link.known and sound.subtype in _KNOWN_LENGTH):
                return [Extent(_count(sound), sound.samplerate)]
            return [Extent(sound.frames, sound.samplerate)]
    extents: list[Extent] = []
    for block, rate in _av_blocks(Stretch(file, link)):
        if extents and extents[-1].rate == rate:
            extents[-1] = Extent(extents[-1].frames + len(block), rate)
        else:
            extents.append(Extent(len(block), rate))
    return extents


def _is_whole(file: BinaryIO, link: Link) -> bool:
    return link.begin == 0 and not link.head and size_of(file) == link.end


def _for_libsndfile(file: BinaryIO, link: Link) -> str | bytes | Stretch:
    """By name where it can be: reading through Python is slower."""
    name = getattr(file, "name", None)
    if isinstance(file, io.BufferedReader) and isinstance(name, str) and _is_whole(file, link):
        return os.fsencode(name) if os.name == "posix" else name
    return Stretch(file, link)


@contextlib.contextmanager
def _opened(file: BinaryIO, link: Link) -> Iterator[Any]:
    """The link as libsndfile opens it; None if it does not, or would misjudge its length."""
    if link.for_ffmpeg:
        yield None
        return
    try:
        sound = soundfile.SoundFile(_for_libsndfile(file, link))
    except (soundfile.SoundFileError, RuntimeError):
        yield None
        return
    with sound:
        misjudged = not 0 <= sound.frames < 2**40 or (sound.format == "MP3" and not link.known)
        if not misjudged:
            refuse_odd_rate(sound.samplerate)
        yield None if misjudged else sound


def refuse_odd_rate(rate: int) -> None:
    """Raises a Fault for a sampling rate that no recording has."""
    if not _SLOWEST <= rate <= _FASTEST:
        raise Fault(f"says its sampling rate is {rate} Hz; {_SLOWEST} to {_FASTEST} Hz can be read")


def _read_soundfile(sound: Any, start: float, length: float | None) -> Piece:
    rate = sound.samplerate
    first = min(round(start * rate), sound.frames)
    end = sound.frames if length is None else min(sound.frames, first + round(length * rate))
    try:
        blocks = [mixed_down(block) for block in _blocks(sound, first, end)]
    except (soundfile.SoundFileError, RuntimeError) as error:
        raise Fault(f"is broken at some point of its sound ({error}); copy or convert it again") from error
    samples = blocks[0] if len(blocks) == 1 else np.concatenate([np.zeros(0, np.float32), *blocks])
    if len(samples) < end - first:
        raise Fault(f"is cut off: {sound.frames} samples were promised, {first + len(samples)} are there")
    return Piece(samples, rate, end)


def _blocks(sound: Any, first: int, end: int) -> Iterator[np.ndarray]:
    """Float32 (T, channels), from a sample to another."""
    position = 0
    if first and sound.seekable():
        # A frame of MP3 leans on those before it, up to half a second at the lowest rates.
        position = max(0, first - sound.samplerate) if sound.format == "MP3" else first
        sound.seek(position)
    while position < end:
        block = sound.read(min(_BLOCK, end - position), dtype="float32", always_2d=True)
        if not len(block):
            return
        if position + len(block) > first:
            yield block[max(0, first - position) :]
        position += len(block)


def _count(sound: Any) -> int:
    try:
        return sum(len(block) for block in _blocks(sound, 0, sound.frames))
    except (soundfile.SoundFileError, RuntimeError) as error:
        raise Fault(f"is broken at some point of its sound ({error}); copy or convert it again") from error


def _joined(blocks: Iterator[tuple[np.ndarray, int]], first: float, length: float | None) -> list[Piece]:
    parts: list[list[np.ndarray]] = []
    told: list[tuple[int, int]] = []  # rate, and samples since it came
    origin = 0.0  # when that was
    for block, rate in blocks:
        if not told or told[-1][0] != rate:
            origin += told[-1][1] / told[-1][0] if told else 0.0
            told.append((rate, 0))
            parts.append([])
        position = told[-1][1]
        begin = round((first - origin) * rate) - position
        end = None if length is None else max(0, begin + round(length * rate))
        parts[-1].append(block[max(0, begin) : end])
        told[-1] = rate, position + len(block)
        if end is not None and end <= len(block):
            break
    return [Piece(np.concatenate(kept), *of) for kept, of in zip(parts, told, strict=True)]


def _av_blocks(stream: Stretch) -> Iterator[tuple[np.ndarray, int]]:
    """Blocks of float32 (T,), mixed down, with their rate in Hz; none if it is no audio that can be read."""
    try:
        import av
    except ImportError:
        return
    begun = False
    try:
        with av.open(stream, options={"protocol_whitelist": "none"}) as container:  # playlists name other files
            if not container.streams.audio:
                raise Fault("has no sound track")
            for frame in container.decode(container.streams.audio[0]):
                begun = True
                refuse_odd_rate(frame.sample_rate)
                yield mixed_down(_samples_of(frame)), frame.sample_rate
    except (av.error.FFmpegError, ValueError, OSError) as error:
        if begun:
            raise Fault(f"is broken at some point of its sound ({error}); copy or convert it again") from error


def _samples_of(frame: Any) -> np.ndarray:
    """(T, channels), of the frame's own type."""
    array = frame.to_ndarray()
    return array.T if frame.format.is_planar else array.reshape(-1, frame.layout.nb_channels)


def mixed_down(samples: np.ndarray) -> np.ndarray:
    """Mean of the channels of (T, channels) of any type, as float32 (T,) within -1 to 1."""
    samples = as_float(samples)
    return samples[:, 0] if samples.shape[1] == 1 else np.asarray(samples.mean(axis=1, dtype=np.float32))


def as_float(samples: np.ndarray) -> np.ndarray:
    """Scales integers to -1 to 1; float32 of the same shape.

    Raises:
        Fault: If they are of a type that no samples are of.
    """
    if samples.dtype == np.uint8:
        return (samples.astype(np.float32) - 128.0) / 128.0
    if np.issubdtype(samples.dtype, np.signedinteger):
        return samples.astype(np.float32) / float(-np.iinfo(samples.dtype).min)
    if np.issubdtype(samples.dtype, np.floating):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # overflow to infinity is refused later
            return samples.astype(np.float32, copy=False)
    raise Fault(f"has samples of type {samples.dtype}; floating, int16, int32 or uint8 can be read")
