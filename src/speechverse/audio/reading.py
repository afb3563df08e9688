"""Samples of a sound, by libsndfile, or by FFmpeg (PyAV) what that cannot read whole."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import re
import warnings
from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import soundfile

from speechverse.files import while_unchanged

log = logging.getLogger(__name__)

Source = str | io.BytesIO
"""The path of a file, or a file's content."""

_BLOCK = 2**20
_SLOWEST, _FASTEST = 1_000, 768_000  # Hz
_MOST_FRAMES = 2**40  # libsndfile gives more where a FLAC's header leaves its length open

_PROMISE = re.compile(
    r"^ *(?:data|SSND|Data Size|riff|Riff size) *: (\d+) \(should be (\d+)\)", re.MULTILINE
)
"""What libsndfile notes where a header tells of more sound than there is."""
_OPEN_LENGTH = 0x7F000000
"""From here on a length is a stand-in: a program that writes into a pipe cannot know it."""
_STRAY = re.compile(r"Unknown chunk marker \(\w+\) at position (\d+)\. Exiting")
_WORTH_A_WORD = 2**12  # bytes after the sound; fewer may be a tag or padding

_AGREED = 0.002  # seconds
_EARLY = 0.25  # seconds by which a whole file's last frame may end before the length in its header
_TELL_LENGTH = {"mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm"}
"""FFmpeg's formats whose header is known to tell their length; that of others is an estimate."""


class Fault(Exception):
    """What is wrong with a sound, in words that follow its name: "is cut off: ..."."""


class Piece(NamedTuple):
    """Part of a sound, float32 (T,), its rate in Hz, and where it ends, in samples."""

    samples: np.ndarray
    rate: int
    end: int


class Extent(NamedTuple):
    """How long a sound is: samples of one channel, and their rate in Hz."""

    frames: int
    rate: int


def read_part(source: Source, start: float, length: float | None, what: str) -> Piece | None:
    """Decodes from `start` seconds on, `length` seconds or all; None if it is no audio.

    Raises:
        Fault: If it is cut off or broken.
    """
    with _open(source, what) as sound:
        if sound is not None:
            return _read_soundfile(sound, start, length)
    kept: list[np.ndarray] = []
    position, rate = 0, 0
    for block, rate in _av_blocks(source):
        begin = round(start * rate) - position
        end = None if length is None else max(0, begin + round(length * rate))
        kept.append(block[max(0, begin) : end])
        position += len(block)
        if end is not None and end <= len(block):
            break
    if not kept:
        rate = _rate_without_sound(source)
        return Piece(np.zeros(0, np.float32), rate, 0) if rate else None
    return Piece(np.concatenate(kept), rate, position)


def read_blocks(source: Source, what: str) -> Iterator[tuple[np.ndarray, int]]:
    """Decodes block by block: float32 (T,), mixed down, and the rate in Hz; none if it is no audio.

    Raises:
        Fault: If it is cut off or broken.
    """
    with _open(source, what) as sound:
        if sound is not None:
            for block in _mixed_blocks(sound, 0, sound.frames):
                yield block, sound.samplerate
            return
    yield from _av_blocks(source)


def measure(source: Source, what: str) -> Extent | None:
    """Length of a sound, by its header or by decoding it; None if it is no audio.

    Raises:
        Fault: If it is cut off or broken.
    """
    with _open(source, what) as sound:
        if sound is not None:
            return Extent(sound.frames, sound.samplerate)
    frames, rate = 0, 0
    for block, hertz in _av_blocks(source):
        frames, rate = frames + len(block), hertz
    rate = rate or _rate_without_sound(source)
    return Extent(frames, rate) if rate else None


def refuse_odd_rate(rate: int) -> None:
    """Raises a Fault for a sampling rate that no recording has."""
    if not _SLOWEST <= rate <= _FASTEST:
        raise Fault(f"says its sampling rate is {rate} Hz; {_SLOWEST} to {_FASTEST} Hz can be read")


@contextlib.contextmanager
def _open(source: Source, what: str) -> Iterator[Any]:
    """The sound as libsndfile opens it; None if it does not, or would hear only a part of it."""
    try:
        # By name where it can be: reading through Python is slower.
        sound = soundfile.SoundFile(
            os.fsencode(source) if isinstance(source, str) else io.BytesIO(source.getvalue())
        )
    except (soundfile.SoundFileError, RuntimeError):
        yield None
        return
    with sound:
        refuse_odd_rate(sound.samplerate)
        _refuse_cut_off(sound.extra_info)
        whole = 0 < sound.frames < _MOST_FRAMES
        if whole and sound.format in ("MP3", "NIST"):
            # Of MP3s joined end to end libsndfile hears the first, and guesses where no header
            # tells the frames; so does FFmpeg, otherwise. Of a NIST file that is cut off only
            # FFmpeg tells the length it should have.
            longer = _length_by_ffmpeg(source) - sound.frames / sound.samplerate
            whole = abs(longer) < _AGREED
            if sound.format == "NIST" and longer >= _AGREED:
                raise _ends_early(
                    longer + sound.frames / sound.samplerate, sound.frames / sound.samplerate
                )
        elif sound.format == "OGG":
            whole = whole and not _is_chain(source)
        if whole and (stray := _STRAY.search(sound.extra_info)):
            _tell_of_the_rest(source, int(stray[1]), what)
        yield sound if whole else None


def _refuse_cut_off(report: str) -> None:
    for promise in _PROMISE.finditer(report):
        promised, there = map(int, promise.groups())
        if there < promised < _OPEN_LENGTH:
            raise _cut_off_fault(promised - there)


def _cut_off_fault(missing: int) -> Fault:
    return Fault(
        f"is cut off: {missing} bytes of the sound its header tells of are missing; copy it again"
    )


def _ends_early(told: float, there: float) -> Fault:
    return Fault(f"is cut off: {told:.2f} s were promised, {there:.2f} s are there; copy it again")


def _broken(error: Exception) -> Fault:
    return Fault(f"is broken at some point of its sound ({error}); copy or convert it again")


def _tell_of_the_rest(source: Source, end: int, what: str) -> None:
    """A recorder that was stopped hard leaves a header of the length it had once."""
    with _stream(source) as file:
        rest = file.seek(0, io.SEEK_END) - end
    if rest > _WORTH_A_WORD:
        log.warning(
            "%s goes on for %d bytes after the end of its sound; they are not read", what, rest
        )


@while_unchanged
def _length_by_ffmpeg(source: Source) -> float:
    """In seconds."""
    import av

    try:
        with _stream(source) as file, av.open(file) as container:
            return (container.duration or 0) / 1e6
    except (av.error.FFmpegError, ValueError, OSError):
        return 0.0


@while_unchanged
def _is_chain(source: Source) -> bool:
    """Whether several Ogg streams follow each other, of which libsndfile hears the first; found
    out once of a file, as hours of speech are read in short parts.

    No library tells of an Ogg that is cut off: a Fault is raised if its last page is not whole.
    """
    with _stream(source) as file:
        content = file.read()
    page = content[content.rfind(b"OggS") :]
    length = 27 + page[26] + sum(page[27 : 27 + page[26]]) if len(page) > 26 else 27
    if len(page) < length:
        raise _cut_off_fault(length - len(page))
    return content.count(b"OggS\0\2") > 1  # pages that begin a stream


def _rate_without_sound(source: Source) -> int:
    """Hz that a header tells which no sound follows; 0 if it is no such header."""
    with _stream(source) as file:
        try:
            about = soundfile.info(file)
        except (soundfile.SoundFileError, RuntimeError):
            return 0
    return 0 if about.frames else int(about.samplerate)


def _read_soundfile(sound: Any, start: float, length: float | None) -> Piece:
    rate = sound.samplerate
    first = min(round(start * rate), sound.frames)
    end = sound.frames if length is None else min(sound.frames, first + round(length * rate))
    blocks = list(_mixed_blocks(sound, first, end))
    samples = blocks[0] if len(blocks) == 1 else np.concatenate([np.zeros(0, np.float32), *blocks])
    return Piece(samples, rate, end)


def _mixed_blocks(sound: Any, first: int, end: int) -> Iterator[np.ndarray]:
    """Every sample from `first` to `end`, float32 (T,), mixed down, in blocks."""
    there = first
    try:
        for block in _blocks(sound, first, end):
            there += len(block)
            yield _mix(block)
    except (soundfile.SoundFileError, RuntimeError) as error:
        raise _broken(error) from error
    if there < end:
        raise Fault(
            f"is cut off: {sound.frames} samples were promised, {there} are there; copy it again"
        )


def _blocks(sound: Any, first: int, end: int) -> Iterator[np.ndarray]:
    """Float32 (T, channels), in blocks: a broken header may promise more than fits in memory."""
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


@contextlib.contextmanager
def _stream(source: Source) -> Iterator[BinaryIO]:
    if isinstance(source, str):
        with open(source, "rb") as file:
            yield file
    else:
        yield io.BytesIO(source.getvalue())  # another decoder may stand elsewhere in it


def head_of(source: Source) -> bytes:
    """The first 512 bytes."""
    with _stream(source) as file:
        return file.read(512)


def _av_blocks(source: Source) -> Iterator[tuple[np.ndarray, int]]:
    """Blocks of float32 (T,), mixed down, and their rate in Hz; none if it is no audio."""
    import av

    begun = False
    try:
        options = {"protocol_whitelist": "none"}  # playlists name other files
        with _stream(source) as file, av.open(file, options=options) as container:
            if not container.streams.audio:
                raise Fault("has no sound track")
            track, rate, ends = container.streams.audio[0], 0, 0.0
            if track.codec_context is None:
                raise Fault("is coded in a way that nothing here can read; convert it to FLAC")
            _refuse_two_headers(source, container, track)
            for frame in container.decode(track):
                begun, rate = True, rate or frame.sample_rate
                refuse_odd_rate(rate)
                if frame.sample_rate != rate:
                    raise Fault(
                        f"goes on at {frame.sample_rate} Hz after {rate} Hz; convert it to one"
                        " sampling rate"
                    )
                ends = (frame.time or 0.0) + frame.samples / rate
                yield _mix(_samples_of(frame)), rate
            _refuse_early_end(container, track, ends)
    except (av.error.FFmpegError, ValueError, OSError) as error:
        if begun:
            raise _broken(error) from error


def _refuse_two_headers(source: Source, container: Any, track: Any) -> None:
    """Of a WAV that only FFmpeg takes, the second of two joined files would go unheard."""
    if container.format.name in ("wav", "aiff") and track.codec_context.name.startswith("pcm_"):
        try:
            with _stream(source) as file:
                soundfile.info(file)
        except soundfile.LibsndfileError as error:
            raise Fault(
                f"has a broken header, or several files joined in it ({error.error_string})"
            ) from error


def _refuse_early_end(container: Any, track: Any, ends: float) -> None:
    """Compares times, not samples: whole films have gaps in their sound."""
    if container.format.name not in _TELL_LENGTH:
        return
    if track.duration is not None:
        told = float((track.duration + (track.start_time or 0)) * track.time_base)
    elif len(container.streams) == 1 and container.duration is not None:
        told = container.duration / 1e6
    else:
        return
    if ends < told - _EARLY:
        raise _ends_early(told, ends)


def _samples_of(frame: Any) -> np.ndarray:
    """(T, channels), of the frame's own type."""
    array = frame.to_ndarray()
    return array.T if frame.format.is_planar else array.reshape(-1, frame.layout.nb_channels)


def _mix(samples: np.ndarray) -> np.ndarray:
    return mix_down(as_float(samples))


def mix_down(samples: np.ndarray) -> np.ndarray:
    """Mean of the channels of float32 (T, channels), as (T,)."""
    if samples.shape[1] == 1:
        return samples[:, 0]
    return np.asarray(samples.mean(axis=1, dtype=np.float32))


def as_float(samples: np.ndarray) -> np.ndarray:
    """Scales integers to -1 to 1; float32 of the same shape. Raises a Fault for other types."""
    if samples.dtype == np.uint8:
        return (samples.astype(np.float32) - 128.0) / 128.0
    if np.issubdtype(samples.dtype, np.signedinteger):
        return samples.astype(np.float32) / float(-np.iinfo(samples.dtype).min)
    if np.issubdtype(samples.dtype, np.floating):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # overflow to infinity is refused later
            return samples.astype(np.float32, copy=False)
    raise Fault(f"has samples of type {samples.dtype}; floating, int16, int32 or uint8 can be read")
