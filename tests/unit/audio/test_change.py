"""Saving, levels, augmenting, trimming."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from speechverse.audio import Waveform, is_silent, load, save
from speechverse.audio.augment import add_noise, add_room, at_level, tilt_spectrum
from speechverse.audio.codecs import CODECS, clip_peaks, through_codec, through_telephone
from speechverse.audio.waveform import active_level_db, level_db, trim_silence, window_levels_db
from speechverse.errors import AudioError, UserError

RATE = 16_000


def tone(
    seconds: float = 1.0, frequency: float | np.ndarray = 440.0, level: float = 0.3
) -> np.ndarray:
    return (level * np.sin(2 * np.pi * frequency * np.arange(int(seconds * RATE)) / RATE)).astype(
        np.float32
    )


@pytest.mark.parametrize("name", ["clip.wav", "clip.flac", "deep/er/CLIP.FLAC"])
def test_saved_is_what_is_loaded(tmp_path: Path, name: str) -> None:
    save(tmp_path / name, Waveform(tone()))
    np.testing.assert_allclose(load(tmp_path / name).samples, tone(), atol=1e-4)
    assert [path.name for path in (tmp_path / name).parent.iterdir()] == [
        Path(name).name
    ]  # nothing left aside


def test_what_cannot_be_saved_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match=r"\.flac or \.wav"):
        save(tmp_path / "clip.mp3", Waveform(tone()))
    with pytest.raises(AudioError, match="beyond full scale"):
        save(tmp_path / "clip.wav", Waveform(4 * tone()))
    with pytest.raises(AudioError, match="not numbers"):
        save(tmp_path / "clip.wav", Waveform(np.array([np.nan], dtype=np.float32)))
    (tmp_path / "file").write_text("")
    with pytest.raises(AudioError, match="cannot write"):
        save(tmp_path / "file" / "clip.wav", Waveform(tone()))


def test_silence_is_told_from_quiet_sound() -> None:
    assert is_silent(Waveform(np.zeros(RATE, dtype=np.float32)))
    assert is_silent(Waveform(np.random.default_rng(0).normal(0, 1e-5, RATE).astype(np.float32)))
    assert not is_silent(
        Waveform(np.concatenate([np.zeros(5 * RATE, dtype=np.float32), tone(0.1, level=0.01)]))
    )


def test_level_counts_the_sounding_parts_only() -> None:
    padded = np.concatenate([np.zeros(3 * RATE, dtype=np.float32), tone()])
    assert active_level_db(at_level(padded, -24.0)) == pytest.approx(-24.0, abs=0.1)
    assert np.abs(at_level(tone(), 20.0)).max() == pytest.approx(0.95, abs=1e-3)
    assert not at_level(np.zeros(100, dtype=np.float32), -20.0).any()


def test_noise_has_the_ratio_asked_for() -> None:
    noise = np.random.default_rng(0).normal(0, 1, 3_000)
    noisy = add_noise(tone(), noise, snr_db=10.0)
    assert level_db(tone()) - level_db(noisy - tone()) == pytest.approx(10.0, abs=0.1)


def test_a_room_rings_on_and_repeats_from_its_generator() -> None:
    clip = np.concatenate([tone(0.2), np.zeros(RATE, dtype=np.float32)])
    wet = add_room(clip, np.random.default_rng(3), reverberation=0.4)
    assert len(wet) == len(clip)
    assert level_db(wet[3_300:5_000]) > level_db(wet[9_000:11_000]) > -200
    np.testing.assert_array_equal(wet, add_room(clip, np.random.default_rng(3), reverberation=0.4))


def decay_rate(samples: np.ndarray) -> float:
    """dB a second by which what rings on gets weaker."""
    levels = window_levels_db(samples, 800)
    return float(np.polyfit(np.arange(len(levels)) * 0.05, levels, 1)[0])


@pytest.mark.parametrize("reverberation", [0.3, 0.6])
def test_a_room_rings_as_long_as_stated_and_duller_with_time(reverberation: float) -> None:
    click = np.zeros(RATE, dtype=np.float32)
    click[0] = 0.5
    rooms = [add_room(click, np.random.default_rng(seed), reverberation) for seed in range(8)]
    late = (
        np.sum([room[800 : int(0.5 * reverberation * RATE)] ** 2 for room in rooms], axis=0) ** 0.5
    )
    assert -60 / decay_rate(late) == pytest.approx(reverberation, rel=0.25)
    brightness = []
    for begin in (800, int(0.3 * reverberation * RATE)):
        spectrum = np.sum(
            [np.abs(np.fft.rfft(room[begin : begin + 1600])) ** 2 for room in rooms], axis=0
        )
        brightness.append(
            spectrum[400:].sum() / spectrum[:200].sum()
        )  # over 4 kHz against under 2 kHz
    assert brightness[1] < 0.5 * brightness[0]


@pytest.mark.parametrize("name", CODECS)
def test_a_codec_keeps_length_and_words_and_repeats(name: str) -> None:
    swept = tone(1.1, 300 + 300 * np.arange(int(1.1 * RATE)) / RATE)
    for clip in (swept, swept[:12_345]):
        heard = through_codec(clip, name)
        assert heard.shape == clip.shape and heard.dtype == np.float32
        np.testing.assert_array_equal(heard, through_codec(clip, name))
        assert level_db(heard) == pytest.approx(level_db(clip), abs=2.0)
        assert not np.allclose(heard, clip, atol=1e-4)
        delays = range(-400, 401, 20)
        similarity = [
            float(np.corrcoef(clip[1_000:-1_000], np.roll(heard, d)[1_000:-1_000])[0, 1])
            for d in delays
        ]
        assert max(similarity) > 0.8 and abs(delays[int(np.argmax(similarity))]) <= 40, (
            "the codec delays the sound"
        )


def test_a_codec_takes_what_is_beyond_full_scale_and_must_be_known() -> None:
    assert np.abs(through_codec(tone(level=2.0), "mu-law")).max() < 1.1
    with pytest.raises(UserError, match="did you mean 'vorbis'"):
        through_codec(tone(), "vorbiss")


def test_a_telephone_leaves_300_to_3400_hz() -> None:
    lost = {
        hertz: level_db(tone(frequency=hertz)) - level_db(through_telephone(tone(frequency=hertz)))
        for hertz in (120, 300, 1_000, 3_400, 5_000)
    }
    assert lost[120] > 25 and lost[5_000] > 25
    assert abs(lost[1_000]) < 0.2 and lost[300] < 4 and lost[3_400] < 4


def test_clipping_cuts_the_share_asked_for() -> None:
    clip = np.random.default_rng(0).normal(0, 0.1, RATE).astype(np.float32)
    cut = clip_peaks(clip, 0.1)
    assert np.mean(np.abs(cut) == np.abs(cut).max()) == pytest.approx(0.1, abs=0.01)
    np.testing.assert_array_equal(clip_peaks(clip, 0.0), clip)
    assert not clip_peaks(np.zeros(100, dtype=np.float32), 0.1).any()


def test_a_tilt_is_so_many_decibels_an_octave() -> None:
    assert level_db(tilt_spectrum(tone(frequency=2_000), 3)) == pytest.approx(
        level_db(tone()) + 3, abs=0.3
    )
    assert level_db(tilt_spectrum(tone(frequency=1_000), 3)) == pytest.approx(
        level_db(tone()), abs=0.3
    )


def test_trims_both_ends() -> None:
    silence = np.zeros(RATE, dtype=np.float32)
    trimmed = trim_silence(np.concatenate([silence, tone(0.5), silence]), RATE)
    assert 0.5 <= len(trimmed) / RATE <= 0.55
    assert len(trim_silence(silence, RATE)) == RATE
