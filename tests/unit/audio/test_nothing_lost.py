"""Files whose header does not tell their length, or tells a wrong one; files joined end to end;
pipes.
"""

from __future__ import annotations

import io
import os
import struct
import threading
from pathlib import Path

import numpy as np
import pytest
from sound_files import (
    SECONDS,
    flac_of_length,
    mp3_without_header,
    muxed,
    sound,
    with_number,
    written,
)

from speechverse.audio import duration_of, load, load_stream, reading
from speechverse.errors import AudioError
from speechverse.types import AudioRef


def heard(folder: Path, content: bytes) -> np.ndarray:
    """The samples of a file, after seeing that its length is told as it is."""
    path = folder / f"clip-{len(list(folder.iterdir()))}"
    path.write_bytes(content)
    waveform = load(path)
    assert duration_of(path) == pytest.approx(waveform.duration, abs=0.001)
    np.testing.assert_array_equal(load(content).samples, waveform.samples)
    return waveform.samples


def refused(folder: Path, content: bytes, word: str) -> None:
    path = folder / "clip"
    path.write_bytes(content)
    with pytest.raises(AudioError, match=word):
        load(path)


def test_a_flac_whose_header_tells_no_length_is_heard_whole(tmp_path: Path) -> None:
    content = written("FLAC", seconds=1.0)
    whole = heard(tmp_path, content)
    open_ended = flac_of_length(content, 0)
    np.testing.assert_array_equal(heard(tmp_path, open_ended), whole)
    path = tmp_path / "clip.flac"
    path.write_bytes(open_ended)
    np.testing.assert_array_equal(load(AudioRef(path, 0.5, 0.25)).samples, whole[8_000:12_000])


def test_a_flac_that_was_written_into_a_pipe_is_heard_whole(tmp_path: Path) -> None:
    piped = muxed("flac", "flac", rate=16_000, piped=True)
    assert len(heard(tmp_path, piped)) == SECONDS * 16_000
    refused(tmp_path, piped[:-900], "is broken")


def test_a_flac_that_is_cut_off_is_refused(tmp_path: Path) -> None:
    content = written("FLAC", seconds=1.0)
    refused(tmp_path, content[: len(content) // 2], "is cut off|broken")
    refused(tmp_path, content[:-500], "is cut off|broken")


@pytest.mark.parametrize(
    "length",
    [0, 0x7FFFF000, 0x7FFFFF00, 0x7FFFFFFF, 0x80000000, 0xFFFFFFDB, 0xFFFFFFFF],
    ids=["0", "SoX", "arecord", "2 GiB - 1", "2 GiB", "4 GiB - 37", "FFmpeg"],
)
@pytest.mark.parametrize("kind", ["WAV", "WAVEX"])
def test_a_wav_of_open_length_is_heard_to_its_end(tmp_path: Path, kind: str, length: int) -> None:
    content = written(kind, "PCM_16")
    whole = heard(tmp_path, content)
    opened = with_number(content, b"data", length)
    np.testing.assert_array_equal(heard(tmp_path, opened), whole)
    np.testing.assert_array_equal(
        heard(tmp_path, with_number(opened, b"RIFF", min(length + 36, 2**32 - 1))), whole
    )
    path = tmp_path / "clip.wav"
    path.write_bytes(opened)
    np.testing.assert_array_equal(load(AudioRef(path, 0.125, 0.125)).samples, whole[2_000:4_000])


@pytest.mark.parametrize("length", [0x7F000000, 2**32 - 4_096], ids=["2 GiB", "4 GiB"])
def test_a_wav_that_is_truly_as_long_as_an_open_length_ends_before_its_tags(
    tmp_path: Path, length: int
) -> None:
    head, tags = (
        written("WAV", "PCM_16", seconds=0.0),
        b"LIST" + struct.pack("<I", 400) + bytes(400),
    )
    head = with_number(head, b"data", length)
    path = tmp_path / "clip.wav"
    with path.open("wb") as file:  # a hole takes no room on the disk
        file.write(with_number(head, b"RIFF", min(len(head) + length + len(tags) - 8, 2**32 - 1)))
        file.seek(length, io.SEEK_CUR)
        file.write(tags)
    assert duration_of(path) == length / 2 / 16_000


@pytest.mark.parametrize("kind", ["wav", "caf", "au", "aiff"])
def test_what_ffmpeg_writes_into_a_pipe_is_heard_to_its_end(tmp_path: Path, kind: str) -> None:
    codec = "pcm_s16le" if kind.startswith("w") else "pcm_s16be"
    piped = heard(tmp_path, muxed(kind, codec, rate=16_000, piped=True))
    np.testing.assert_allclose(piped, sound()[:, 0], atol=1e-4)


@pytest.mark.parametrize("length", [0, 0x7F000008, 0x7FFFFFFF])
def test_an_aiff_of_open_length_is_heard_to_its_end(tmp_path: Path, length: int) -> None:
    opened = with_number(written("AIFF", "PCM_16"), b"SSND", length, ">I")
    assert len(heard(tmp_path, opened)) == SECONDS * 16_000


@pytest.mark.parametrize("kind", ["WAV", "WAVEX", "W64", "AIFF", "AU", "CAF"])
def test_a_file_that_is_cut_off_says_how_many_bytes_are_missing(tmp_path: Path, kind: str) -> None:
    content = written(kind, "PCM_16")
    refused(
        tmp_path,
        content[:-1_000],
        r"is cut off: \d+ bytes of the sound its header tells of are missing",
    )


def test_a_nist_file_that_is_cut_off_says_how_long_it_should_be(tmp_path: Path) -> None:
    refused(
        tmp_path,
        written("NIST", "PCM_16")[:-1_000],
        r"is cut off: 0\.40 s were promised, 0\.37 s are there",
    )


def test_a_wav_without_sound_stays_without_though_chunks_follow(tmp_path: Path) -> None:
    empty = written("WAV", "PCM_16", seconds=0.0)
    refused(tmp_path, empty, "holds no sound")


MADE = {
    "vorbis": lambda pitch: written("OGG", "VORBIS", pitch),
    "opus": lambda pitch: written("OGG", "OPUS", pitch),
    "opus of ffmpeg": lambda pitch: muxed("ogg", "libopus", pitch),
    "mp3": lambda pitch: written("MP3", None, pitch),
    "mp3 of ffmpeg": lambda pitch: muxed("mp3", "libmp3lame", pitch, rate=44_100),
    "m4a": lambda pitch: muxed("ipod", "aac", pitch),
    "webm": lambda pitch: muxed("webm", "libopus", pitch),
    "webm of a browser": lambda pitch: muxed("webm", "libopus", pitch, piped=True),
}


@pytest.mark.parametrize("kind", ["vorbis", "opus", "opus of ffmpeg", "mp3"])
def test_recordings_that_follow_each_other_in_one_file_are_all_heard(
    tmp_path: Path, kind: str
) -> None:
    contents = (MADE[kind](440.0), MADE[kind](700.0))
    alone = sum(len(load(content).samples) for content in contents)
    # The encoder's padding between two is sound to FFmpeg, and an Ogg's first block none.
    assert -300 <= len(heard(tmp_path, b"".join(contents))) - alone <= 3_200


@pytest.mark.parametrize("kind", ["WAV", "AIFF"])
def test_files_joined_end_to_end_whose_second_nothing_hears_are_refused(
    tmp_path: Path, kind: str
) -> None:
    refused(
        tmp_path,
        written(kind, "PCM_16") + written(kind, "PCM_16", 700.0),
        "several files joined in it",
    )


def test_an_ogg_that_is_cut_off_is_refused(tmp_path: Path) -> None:
    content = written("OGG", "VORBIS", seconds=4.0)
    refused(tmp_path, content[:-10], "is cut off: 10 bytes")
    refused(tmp_path, content[: len(content) // 2], "is cut off")


@pytest.mark.parametrize("kind", ["mp3", "mp3 of ffmpeg"])
def test_an_mp3_whose_header_does_not_tell_its_frames_is_heard_whole(
    tmp_path: Path, kind: str
) -> None:
    content = MADE[kind](440.0)
    whole = heard(tmp_path, content)
    bare = mp3_without_header(content)
    assert (
        len(whole) <= len(heard(tmp_path, bare)) <= len(whole) + 2_400
    )  # the encoder's padding is not told of


@pytest.mark.parametrize("kind", ["mp3", "mp3 of ffmpeg"])
def test_tags_around_an_mp3_do_not_change_what_is_heard(tmp_path: Path, kind: str) -> None:
    content = MADE[kind](440.0)
    whole = heard(tmp_path, content)
    for tagged in (content + b"TAG" + bytes(125), b"ID3\4\0\0\0\0\1\0" + bytes(128) + content):
        np.testing.assert_array_equal(heard(tmp_path, tagged), whole)


def test_an_mp3_that_is_cut_off_or_has_a_hole_is_refused(tmp_path: Path) -> None:
    content = written("MP3", None, seconds=2.0)
    half = len(content) // 2
    refused(tmp_path, content[:half], r"is cut off: 32000 samples were promised, \d+ are there")
    refused(tmp_path, content[:half] + b"\1" * 300 + content[half + 300 :], "is cut off|is broken")


def test_a_part_of_an_mp3_at_the_lowest_rate_is_what_the_whole_has_there(tmp_path: Path) -> None:
    import soundfile

    path = tmp_path / "clip.mp3"
    soundfile.write(path, sound(seconds=6.0), 16_000, format="MP3", compression_level=0.95)
    whole = load(path).samples
    for start in (100, 20_003, 80_000):
        part = load(AudioRef(path, start / 16_000, 0.5)).samples
        np.testing.assert_allclose(part, whole[start : start + 8_000], atol=1e-5)


def test_a_file_that_cannot_be_sought_in_is_heard_from_where_it_is_asked(tmp_path: Path) -> None:
    path = tmp_path / "telephone.wav"
    path.write_bytes(written("WAV", "GSM610"))
    whole = load(path).samples
    np.testing.assert_array_equal(load(AudioRef(path, 0.125, 0.125)).samples, whole[2_000:4_000])


def test_a_webm_or_m4a_that_is_cut_off_is_refused(tmp_path: Path) -> None:
    for container, codec in (("webm", "libopus"), ("ipod", "aac")):
        content = muxed(container, codec, seconds=2.0)
        refused(tmp_path, content[: len(content) // 2], "is cut off|damaged or cut off")


def test_a_playlist_does_not_stand_for_the_files_it_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("other.wav").write_bytes(written("WAV", "PCM_16"))
    refused(tmp_path, b"ffconcat version 1.0\nfile other.wav\n", "not audio that can be read")


def test_what_follows_the_sound_and_is_none_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    content = with_number(written("WAV", "PCM_16"), b"data", 2_000)
    assert len(load(content).samples) == 1_000
    assert "goes on for 10800 bytes after the end of its sound" in caplog.text


def test_a_length_that_only_decoding_tells_is_found_out_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "clip.m4a"
    path.write_bytes(MADE["m4a"](440.0))
    decoded = []
    monkeypatch.setattr(
        reading,
        "mix_down",
        lambda block, real=reading.mix_down: decoded.append(1) or real(block),
    )
    first = duration_of(path)
    assert decoded
    decoded.clear()
    assert duration_of(path) == first and not decoded
    path.write_bytes(muxed("ipod", "aac", seconds=0.8))
    assert duration_of(path) == pytest.approx(2 * first, abs=0.05)


def test_an_ordinary_file_is_not_decoded_for_its_length(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "_blocks", None)
    monkeypatch.setattr(reading, "_av_blocks", None)
    for kind in ("WAV", "FLAC", "AIFF", "OGG", "MP3"):
        path = tmp_path / f"clip.{kind}"
        path.write_bytes(written(kind))
        assert duration_of(path) == pytest.approx(SECONDS)


def test_a_pipe_is_heard_and_read_once(tmp_path: Path) -> None:
    content = written("WAV", "PCM_16")
    np.testing.assert_array_equal(
        load_stream(io.BytesIO(content), "standard input").samples, load(content).samples
    )
    fifo = tmp_path / "pipe"
    os.mkfifo(fifo)
    with pytest.raises(AudioError, match="is a pipe, which can be read only once"):
        duration_of(fifo)
    writer = threading.Thread(target=fifo.write_bytes, args=(content,))
    writer.start()
    assert load(fifo).duration == SECONDS
    writer.join()


def test_a_pipe_that_brings_nothing_or_too_much_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(AudioError, match=r"standard input is empty \(0 bytes\)"):
        load_stream(io.BytesIO(), "standard input")
    monkeypatch.setattr("speechverse.audio.decode._MOST_PIPED", 1_000)
    with pytest.raises(AudioError, match="brings more than .*; save it as a file and name that"):
        load_stream(io.BytesIO(written("WAV", "PCM_16")), "standard input")
