"""Every kind of file a user may have, good and bad."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from speechverse.audio import Waveform, duration_of, load
from speechverse.errors import AudioError
from speechverse.types import AudioRef

SECONDS = 1.5
FREQUENCY = 440.0


def tone(rate: int, channels: int = 1, seconds: float = SECONDS) -> np.ndarray:
    wave = 0.5 * np.sin(2 * np.pi * FREQUENCY * np.arange(round(seconds * rate)) / rate)
    return np.repeat(wave[:, None], channels, axis=1).astype(np.float32)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ((16_000, np.zeros(9, np.int16)), "the other way round"),
        (("a.wav", "b.wav"), "one sound at a time"),
        (([[0.1, 0.2], [0.3]], 16_000), "are no array"),
        ((np.zeros(9, np.float32), None), "its rate is None"),
        ((np.zeros(9, np.float32), float("nan")), "its rate is nan"),
        (np.arange(9), "samples of type int64"),
        (Waveform(np.arange(9), 16_000), "samples of type int64"),
        (AudioRef(Path(__file__), start=float("inf")), "must start at 0 s or later"),
        (AudioRef(Path(__file__), duration=float("inf")), "last longer than 0 s, not"),
        ((np.arange(9, dtype=np.float32) * 1000, 16_000), "as large as 8000: .* by 32768"),
        (io.StringIO("text"), "open it with mode 'rb'"),
    ],
)
def test_what_is_given_otherwise_is_told_how_to_give_it(given, told: str) -> None:
    with pytest.raises(AudioError, match=told):
        load(given)


def test_a_file_opened_as_text_is_told_so(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", tone(16_000), 16_000)
    with (tmp_path / "a.wav").open() as file, pytest.raises(AudioError, match="mode 'rb'"):
        load(file)


def dominant(waveform: Waveform) -> float:
    spectrum = np.abs(np.fft.rfft(waveform.samples))
    return float(np.argmax(spectrum) * waveform.sampling_rate / len(waveform.samples))


def is_the_tone(waveform: Waveform, tolerance: float = 0.02) -> bool:
    return (
        waveform.sampling_rate == 16_000
        and waveform.samples.dtype == np.float32
        and waveform.samples.ndim == 1
        and abs(waveform.duration - SECONDS) < tolerance
        and abs(dominant(waveform) - FREQUENCY) < 2
        and 0.4 < np.abs(waveform.samples).max() < 0.6
    )


@pytest.mark.parametrize(
    ("name", "rate", "channels", "subtype"),
    [
        ("plain.wav", 16_000, 1, "PCM_16"),
        ("stereo.wav", 44_100, 2, "PCM_16"),
        ("eight_bit.wav", 16_000, 1, "PCM_U8"),
        ("twenty_four_bit.wav", 48_000, 2, "PCM_24"),
        ("float.wav", 22_050, 1, "FLOAT"),
        ("studio.wav", 96_000, 2, "PCM_24"),
        ("telephone.wav", 8_000, 1, "ULAW"),
        ("clip.flac", 44_100, 2, "PCM_16"),
        ("clip.ogg", 48_000, 1, "VORBIS"),
        ("clip.mp3", 44_100, 2, "MPEG_LAYER_III"),
        ("clip.aiff", 16_000, 6, "PCM_16"),
    ],
)
def test_reads_as_16_khz_mono(
    tmp_path: Path, name: str, rate: int, channels: int, subtype: str
) -> None:
    path = tmp_path / name
    soundfile.write(path, tone(rate, channels), rate, subtype=subtype)
    assert is_the_tone(load(path), tolerance=0.1 if name.endswith("mp3") else 0.02)
    assert duration_of(path) == pytest.approx(SECONDS, abs=0.1)


@pytest.mark.parametrize(
    ("name", "codec"), [("clip.m4a", "aac"), ("clip.webm", "libopus"), ("clip.mp4", "aac")]
)
def test_reads_what_needs_pyav(tmp_path: Path, name: str, codec: str) -> None:
    path = write_with_av(tmp_path / name, codec)
    assert is_the_tone(load(path), tolerance=0.1)
    part = load(AudioRef(path, start=0.5, duration=0.5))
    assert part.duration == pytest.approx(0.5, abs=0.01)
    assert duration_of(path) == pytest.approx(SECONDS, abs=0.1)


def write_with_av(path: Path, codec: str) -> Path:
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=48_000)
        samples = tone(48_000, 2).T
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(samples), format="fltp", layout="stereo"
        )
        frame.sample_rate = 48_000
        for resampled in av.AudioResampler(
            format=stream.format, layout=stream.layout, rate=48_000
        ).resample(frame):
            container.mux(stream.encode(resampled))
        container.mux(stream.encode(None))
    return path


def test_every_kind_of_source_gives_the_same(tmp_path: Path) -> None:
    path = tmp_path / "clip.wav"
    soundfile.write(path, tone(16_000), 16_000, subtype="PCM_16")
    whole = load(path).samples
    integers = np.round(tone(16_000)[:, 0] * 32767).astype(np.int16)
    for source in (
        str(path),
        path.read_bytes(),
        io.BytesIO(path.read_bytes()),
        AudioRef(path),
        whole,
        Waveform(whole),
    ):
        np.testing.assert_allclose(load(source).samples, whole, atol=1e-4)
    np.testing.assert_allclose(load((integers, 16_000)).samples, whole, atol=1e-4)
    assert is_the_tone(load((tone(48_000, 2), 48_000)))


def test_reads_only_the_part_that_is_meant(tmp_path: Path) -> None:
    path = tmp_path / "long.flac"
    samples = np.concatenate(
        [np.full(16_000, level, dtype=np.float32) for level in (0.1, 0.2, 0.3)]
    )
    soundfile.write(path, samples, 16_000)
    np.testing.assert_allclose(
        load(AudioRef(path, start=1.0, duration=1.0)).samples, 0.2, atol=1e-3
    )
    assert load(AudioRef(path, start=2.5)).duration == pytest.approx(0.5)
    with pytest.raises(AudioError, match="only 3.00 s long"):
        load(AudioRef(path, start=3.5))
    with pytest.raises(AudioError, match="no part from 2.5 s lasts 2 s"):
        load(AudioRef(path, start=2.5, duration=2.0))
    with pytest.raises(AudioError, match="at 0 s or later"):
        load(AudioRef(path, start=-1.0))


def wav_bytes(seconds: float = 1.0) -> bytes:
    memory = io.BytesIO()
    soundfile.write(memory, tone(16_000, seconds=seconds), 16_000, format="WAV", subtype="PCM_16")
    return memory.getvalue()


def flac_bytes() -> bytes:
    memory = io.BytesIO()
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 48_000)
    soundfile.write(memory, noise, 16_000, format="FLAC")
    return memory.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty file"),
        (b"hello, this is a shopping list\n" * 20, "looks like text"),
        (wav_bytes()[:20], "damaged or cut off"),
        (wav_bytes()[:40], "damaged or cut off|no sound"),
        (wav_bytes()[:10_000], "cut off: 22044 bytes"),
        (wav_bytes(0.0), "holds no sound"),
        (flac_bytes()[:20_000], "cut off|broken"),
        (flac_bytes()[:30], "damaged or cut off"),
        (bytes(range(256)) * 40, "its kind is unknown"),
        (b"\x89PNG\r\n\x1a\n" + bytes(500), "no sound track|kind is unknown"),
    ],
)
def test_bad_files_say_what_is_wrong(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "clip.wav"
    path.write_bytes(content)
    with pytest.raises(AudioError, match=message) as raised:
        load(path)
    assert "clip.wav" in str(raised.value)


def test_a_header_with_open_length_is_whole() -> None:
    streamed = bytearray(wav_bytes())
    position = streamed.index(b"data") + 4
    streamed[position : position + 4] = struct.pack("<I", 0xFFFFFFFF)
    assert load(bytes(streamed)).duration == pytest.approx(1.0)


def test_bad_paths_and_arrays_say_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match="does not exist"):
        load(tmp_path / "nowhere.wav")
    for address in ("https://example.org/a.wav", Path("https://example.org/a.wav")):
        with pytest.raises(AudioError, match="nothing is fetched.*download it"):
            load(address)
    with pytest.raises(AudioError, match="is a folder"):
        load(tmp_path)
    with pytest.raises(AudioError, match="not numbers"):
        load(np.array([0.0, np.nan, 0.1], dtype=np.float32))
    with pytest.raises(AudioError, match="no samples"):
        load(np.zeros(0, dtype=np.float32))
    with pytest.raises(AudioError, match="1 samples at 48000 Hz are not one at 16000 Hz"):
        load((np.zeros(1, dtype=np.float32), 48_000))
    with pytest.raises(AudioError, match=r"shape \(2, 16000\)"):
        load(np.zeros((2, 16_000), dtype=np.float32))
    with pytest.raises(AudioError, match="sampling rate is 0 Hz"):
        load((np.zeros(10, dtype=np.float32), 0))
    with pytest.raises(AudioError, match="from a int"):
        load(5)  # type: ignore[arg-type]


def test_nan_in_a_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "nan.wav"
    soundfile.write(path, np.array([0.1, np.nan] * 800, dtype=np.float32), 16_000, subtype="FLOAT")
    with pytest.raises(AudioError, match="not numbers"):
        load(path)


def test_a_video_without_sound_is_refused(tmp_path: Path) -> None:
    import av

    path = tmp_path / "silent.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=5)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        for _ in range(5):
            container.mux(
                stream.encode(
                    av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")
                )
            )
        container.mux(stream.encode(None))
    with pytest.raises(AudioError, match="no sound track"):
        load(path)


def test_sound_in_a_coding_that_nothing_reads_is_told_as_such():
    header = struct.pack("<4sI4s4sIHHIIHH", b"RIFF", 836, b"WAVE", b"fmt ", 16, 0x99AB, 1, 16_000, 32_000, 2, 16)  # fmt: skip
    with pytest.raises(AudioError, match="coded in a way"):
        load(header + struct.pack("<4sI", b"data", 800) + bytes(range(200)) * 4)
