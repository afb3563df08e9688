"""Audio files changed at random: an `AudioError` or the whole sound, never a traceback, never less than there is.

`SPEECHVERSE_FUZZ=10000` tries so many inputs, `SPEECHVERSE_FUZZ_SEED=7` others than seed 0.
"""

from __future__ import annotations

import io
import logging
import os
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from sound_files import muxed, written

from speechverse.audio import Waveform, duration_of, load
from speechverse.errors import AudioError
from speechverse.types import AudioRef

INPUTS = int(os.environ.get("SPEECHVERSE_FUZZ", "120"))
SEED = int(os.environ.get("SPEECHVERSE_FUZZ_SEED", "0"))

LOSSLESS = {
    "wav": lambda pitch: written("WAV", "PCM_16", pitch),
    "wav 24": lambda pitch: written("WAV", "PCM_24", pitch),
    "wavex": lambda pitch: written("WAVEX", "PCM_16", pitch),
    "rf64": lambda pitch: written("RF64", "PCM_16", pitch),
    "w64": lambda pitch: written("W64", "PCM_16", pitch),
    "wav piped": lambda pitch: muxed("wav", "pcm_s16le", pitch, rate=16_000, piped=True),
    "aiff": lambda pitch: written("AIFF", "PCM_16", pitch),
    "au": lambda pitch: written("AU", "PCM_16", pitch),
    "au piped": lambda pitch: muxed("au", "pcm_s16be", pitch, rate=16_000, piped=True),
    "caf": lambda pitch: written("CAF", "PCM_16", pitch),
    "caf piped": lambda pitch: muxed("caf", "pcm_s16be", pitch, rate=16_000, piped=True),
    "nist": lambda pitch: written("NIST", "PCM_16", pitch),
    "flac": lambda pitch: written("FLAC", None, pitch),
    "flac stereo": lambda pitch: written("FLAC", "PCM_24", pitch, channels=2),
    "flac piped": lambda pitch: muxed("flac", "flac", pitch, rate=16_000, piped=True),
}
LOSSY = {
    "gsm": lambda pitch: written("WAV", "GSM610", pitch),
    "adpcm": lambda pitch: written("WAV", "MS_ADPCM", pitch),
    "mu-law": lambda pitch: written("AU", "ULAW", pitch),
    "vorbis": lambda pitch: written("OGG", "VORBIS", pitch),
    "opus": lambda pitch: written("OGG", "OPUS", pitch),
    "opus of FFmpeg": lambda pitch: muxed("ogg", "libopus", pitch),
    "mp3": lambda pitch: written("MP3", None, pitch),
    "mp3 of FFmpeg": lambda pitch: muxed("mp3", "libmp3lame", pitch, rate=44_100),
    "mp3 piped": lambda pitch: muxed("mp3", "libmp3lame", pitch, rate=16_000, piped=True),
    "m4a": lambda pitch: muxed("ipod", "aac", pitch),
    "webm": lambda pitch: muxed("webm", "libopus", pitch),
    "webm piped": lambda pitch: muxed("webm", "libopus", pitch, piped=True),
    "aac": lambda pitch: muxed("adts", "aac", pitch),
}
FILES = LOSSLESS | LOSSY
OPEN_ENDED = {"wav piped", "au piped", "caf piped"}
"""All that follows counts as their sound."""
LENGTHS = (0, 1, 0x7FFFF000, 0x7FFFFF00, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0xFFFFFFFE)

kinds = st.sampled_from(sorted(FILES))
pitches = st.sampled_from((440.0, 700.0))


def numbers_told(content: bytes, place: int, number: int, order: str) -> bytes:
    at = place % (min(len(content), 160) - 4)
    return content[:at] + number.to_bytes(4, order) + content[at + 4 :]  # type: ignore[arg-type]


class File(bytes):
    """A file's content that is shown short."""

    joined = 1
    without_rest: bytes  # what others are asked to hear: some take a few bytes put behind a file for sound
    slack = 0.15  # seconds by which decoders differ at the ends of what is compressed with loss

    def __repr__(self) -> str:
        return f"File({bytes(self[:48])!r}..., {len(self)} bytes)"


@st.composite
def damaged(draw: st.DrawFn) -> File:
    """A whole file of any kind, and what may happen to it."""
    joined, kind, rest = 1, draw(kinds), 0
    content = FILES[kind](draw(pitches))
    for change in draw(
        st.lists(st.sampled_from(("header", "number", "bytes", "hole", "more", "cut", "twice")), max_size=3)
    ):
        place, rest = draw(st.integers(0, 2**16)), 0
        if change == "header":
            at = place % min(len(content), 128)
            content = content[:at] + draw(st.binary(min_size=1, max_size=4)) + content[at + 1 :]
        elif change == "number":
            content = numbers_told(
                content, place, draw(st.sampled_from(LENGTHS)), draw(st.sampled_from(("little", "big")))
            )
        elif change == "bytes":
            at = place % len(content)
            patch = draw(st.binary(min_size=1, max_size=4))
            content = content[:at] + patch + content[at + len(patch) :]
        elif change == "hole":
            at = place % len(content)
            content = content[:at] + content[at + draw(st.integers(1, 600)) :]
        elif change == "more":
            more = draw(st.binary(max_size=64))
            content, rest = content + more, len(more)
        elif change == "cut":
            content = content[: max(1, len(content) - place % len(content))]
        else:
            content += FILES[draw(kinds)](draw(pitches))
            joined += 1
    file = File(content)
    file.without_rest = content[: len(content) - rest]
    file.joined, file.slack = joined, 0.001 if kind in LOSSLESS else 0.15
    return file


MAGIC = (
    b"",
    b"RIFF\xff\xff\xff\xffWAVE", b"fLaC\0\0\0\x22", b"OggS", b"ID3", b"\xff\xfb\x90", b"\xff\xf1", b".snd", b"caff",
    b"FORM\0\0\0\x20AIFF", b"NIST_1A\n   1024\n", b"\0\0\0\x20ftyp", b"\x1aE\xdf\xa3",
)  # fmt: skip
nonsense = st.builds(lambda magic, rest: magic + rest, st.sampled_from(MAGIC), st.binary(max_size=400))


def fuzzed(share: float):
    """Settings for a test that tries a share of the inputs: the same ones every time."""
    chosen = settings(
        max_examples=max(1, round(INPUTS * share)), deadline=None, database=None, print_blob=True,
        suppress_health_check=list(HealthCheck), derandomize="SPEECHVERSE_FUZZ_SEED" not in os.environ,
    )  # fmt: skip
    return (lambda test: seed(SEED)(chosen(test))) if "SPEECHVERSE_FUZZ_SEED" in os.environ else chosen


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


def heard(path: Path, content: bytes) -> Waveform | None:
    """What is heard, after seeing that its length is told right; None where it is refused with a word."""
    path.unlink(missing_ok=True)  # another file, not the same one changed
    path.write_bytes(content)
    try:
        waveform = load(path)
    except AudioError as error:
        assert str(path) in str(error)
        try:
            duration_of(path)
        except AudioError:
            pass
        return None
    assert duration_of(path) == pytest.approx(waveform.duration, abs=0.001)
    return waveform


def heard_by_others(content: bytes) -> float:
    """Seconds that the decoders on their own find; those that fail find nothing."""
    seconds = [0.0]
    try:
        with av.open(io.BytesIO(content)) as container:
            frames = [(frame.samples, frame.sample_rate) for frame in container.decode(container.streams.audio[0])]
        seconds.append(sum(samples / rate for samples, rate in frames))
    except (av.error.FFmpegError, ValueError, IndexError, ZeroDivisionError):
        pass
    try:
        samples, rate = soundfile.read(io.BytesIO(content))
        seconds.append(len(samples) / rate)
    except (soundfile.SoundFileError, ValueError, RuntimeError, MemoryError):
        pass
    return max(seconds)


@fuzzed(0.5)
@given(content=damaged())
def test_a_damaged_file_is_heard_whole_or_refused(folder: Path, content: File) -> None:
    records: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: records.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("speechverse.audio")
    logger.addHandler(handler)
    try:
        waveform = heard(folder / "clip", content)
    finally:
        logger.removeHandler(handler)
    if waveform is not None and not records and content.joined == 1:  # others hear what is joined on as noise
        assert waveform.duration > heard_by_others(content.without_rest) - content.slack


@fuzzed(0.1)
@given(content=nonsense)
def test_nonsense_is_refused_with_a_word(folder: Path, content: bytes) -> None:
    heard(folder / "clip", content)


@fuzzed(0.25)
@given(parts=st.lists(st.tuples(kinds, pitches), min_size=2, max_size=4))
def test_joined_files_are_heard_one_after_the_other(folder: Path, parts: list) -> None:
    contents = [FILES[kind](pitch) for kind, pitch in parts]
    alone = [load(content).samples for content in contents]
    together = heard(folder / "clip", b"".join(contents))
    before = {kind for kind, _ in parts[:-1]}
    if before & OPEN_ENDED:
        return
    assert together is not None
    assert together.duration == pytest.approx(sum(map(len, alone)) / 16_000, abs=0.08)
    if all(kind in LOSSLESS for kind, _ in parts):
        np.testing.assert_array_equal(together.samples, np.concatenate(alone))


@fuzzed(0.15)
@given(kind=kinds, start=st.integers(0, 6_000), length=st.integers(200, 6_000))
def test_a_part_is_what_the_whole_has_there(folder: Path, kind: str, start: int, length: int) -> None:
    path = folder / f"{kind}.sound"
    path.write_bytes(FILES[kind](440.0) + FILES[kind](700.0))
    whole = load(path).samples
    length = min(length, len(whole) - start)
    part = load(AudioRef(path, start / 16_000, length / 16_000)).samples
    assert len(part) == length
    if kind not in ("opus of FFmpeg", "mp3 of FFmpeg", "m4a", "webm", "webm piped", "aac"):  # those are resampled
        np.testing.assert_allclose(part, whole[start : start + length], atol=1e-5)
