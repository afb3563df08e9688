"""Audio files changed at random: an `AudioError` or the sound, whose length is told as it is; never
a traceback.

`SPEECHVERSE_FUZZ=10000` tries so many inputs, `SPEECHVERSE_FUZZ_SEED=7` others than seed 0.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
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
LENGTHS = (0, 1, 0x7FFFF000, 0x7FFFFF00, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0xFFFFFFFE)

kinds = st.sampled_from(sorted(FILES))
pitches = st.sampled_from((440.0, 700.0))


def numbers_told(content: bytes, place: int, number: int, order: str) -> bytes:
    at = place % (min(len(content), 160) - 4)
    return content[:at] + number.to_bytes(4, order) + content[at + 4 :]  # type: ignore[arg-type]


class File(bytes):
    """A file's content that is shown short."""

    def __repr__(self) -> str:
        return f"File({bytes(self[:48])!r}..., {len(self)} bytes)"


@st.composite
def damaged(draw: st.DrawFn) -> File:
    """A whole file of any kind, and what may happen to it."""
    content = FILES[draw(kinds)](draw(pitches))
    changes = ("header", "number", "bytes", "hole", "more", "cut", "twice")
    for change in draw(st.lists(st.sampled_from(changes), max_size=3)):
        place = draw(st.integers(0, 2**16))
        at = place % len(content)
        if change == "header":
            at = place % min(len(content), 128)
            content = content[:at] + draw(st.binary(min_size=1, max_size=4)) + content[at + 1 :]
        elif change == "number":
            order = draw(st.sampled_from(("little", "big")))
            content = numbers_told(content, place, draw(st.sampled_from(LENGTHS)), order)
        elif change == "bytes":
            patch = draw(st.binary(min_size=1, max_size=4))
            content = content[:at] + patch + content[at + len(patch) :]
        elif change == "hole":
            content = content[:at] + content[at + draw(st.integers(1, 600)) :]
        elif change == "more":
            content += draw(st.binary(max_size=64))
        elif change == "cut":
            content = content[: max(1, len(content) - at)]
        else:
            content += FILES[draw(kinds)](draw(pitches))
    return File(content)


MAGIC = (
    b"",
    b"RIFF\xff\xff\xff\xffWAVE", b"fLaC\0\0\0\x22", b"OggS", b"ID3", b"\xff\xfb\x90", b"\xff\xf1", b".snd", b"caff",
    b"FORM\0\0\0\x20AIFF", b"NIST_1A\n   1024\n", b"\0\0\0\x20ftyp", b"\x1aE\xdf\xa3",
)  # fmt: skip
nonsense = st.builds(
    lambda magic, rest: magic + rest, st.sampled_from(MAGIC), st.binary(max_size=400)
)


def fuzzed(share: float):
    """Settings for a test that tries a share of the inputs: the same ones every time."""
    chosen = settings(
        max_examples=max(1, round(INPUTS * share)), deadline=None, database=None, print_blob=True,
        suppress_health_check=list(HealthCheck), derandomize="SPEECHVERSE_FUZZ_SEED" not in os.environ,
    )  # fmt: skip
    return (
        (lambda test: seed(SEED)(chosen(test))) if "SPEECHVERSE_FUZZ_SEED" in os.environ else chosen
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


def heard(path: Path, content: bytes) -> Waveform | None:
    """What is heard, after seeing that its length is told right; None where it is refused with a
    word.
    """
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


@fuzzed(0.5)
@given(content=damaged())
def test_a_damaged_file_is_heard_or_refused_with_a_word(folder: Path, content: File) -> None:
    heard(folder / "clip", content)


@fuzzed(0.1)
@given(content=nonsense)
def test_nonsense_is_heard_or_refused_with_a_word(folder: Path, content: bytes) -> None:
    heard(folder / "clip", content)


@fuzzed(0.15)
@given(kind=kinds, start=st.integers(0, 4_000), length=st.integers(200, 6_000))
def test_a_part_is_what_the_whole_has_there(
    folder: Path, kind: str, start: int, length: int
) -> None:
    path = folder / f"{kind}.sound"
    path.write_bytes(FILES[kind](440.0))
    whole = load(path).samples
    length = min(length, len(whole) - start)
    part = load(AudioRef(path, start / 16_000, length / 16_000)).samples
    assert len(part) == length
    if kind not in (
        "opus of FFmpeg",
        "mp3 of FFmpeg",
        "m4a",
        "webm",
        "webm piped",
        "aac",
    ):  # those are resampled
        np.testing.assert_allclose(part, whole[start : start + length], atol=1e-5)
