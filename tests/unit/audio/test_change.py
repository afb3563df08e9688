"""Saving, levels, augmenting, cutting."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from speechverse.audio import Waveform, encode_wav, is_silent, load, save
from speechverse.audio.augment import add_noise, add_room, at_level, change_speed, shape_spectrum
from speechverse.audio.segment import split_at_pauses, trim_silence
from speechverse.audio.waveform import active_level_db, level_db
from speechverse.errors import AudioError

RATE = 16_000


def tone(seconds: float = 1.0, frequency: float = 440.0, level: float = 0.3) -> np.ndarray:
    return (level * np.sin(2 * np.pi * frequency * np.arange(int(seconds * RATE)) / RATE)).astype(np.float32)


@pytest.mark.parametrize("name", ["clip.wav", "clip.flac", "deep/er/CLIP.FLAC"])
def test_saved_is_what_is_loaded(tmp_path: Path, name: str) -> None:
    save(tmp_path / name, Waveform(tone()))
    np.testing.assert_allclose(load(tmp_path / name).samples, tone(), atol=1e-4)
    assert [path.name for path in (tmp_path / name).parent.iterdir()] == [Path(name).name]  # nothing left aside
    np.testing.assert_allclose(load(encode_wav(Waveform(tone()))).samples, tone(), atol=1e-4)


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
    assert not is_silent(Waveform(np.concatenate([np.zeros(5 * RATE, dtype=np.float32), tone(0.1, level=0.01)])))


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


def test_telephone_band_and_tilt() -> None:
    low, high = tone(frequency=100), tone(frequency=6_000)
    assert level_db(shape_spectrum(low, low=300, high=3400)) < level_db(low) - 25
    assert level_db(shape_spectrum(high, low=300, high=3400)) < level_db(high) - 25
    middle = tone(frequency=1_000)
    assert level_db(shape_spectrum(middle, low=300, high=3400)) == pytest.approx(level_db(middle), abs=0.3)
    assert level_db(shape_spectrum(tone(frequency=2_000), tilt_db=3)) == pytest.approx(level_db(tone()) + 3, abs=0.3)


def test_speed_moves_duration_and_pitch() -> None:
    fast = change_speed(tone(), 1.25)
    assert len(fast) == pytest.approx(RATE / 1.25, abs=5)
    assert np.argmax(np.abs(np.fft.rfft(fast))) * RATE / len(fast) == pytest.approx(550, abs=3)


def test_trims_both_ends() -> None:
    silence = np.zeros(RATE, dtype=np.float32)
    trimmed = trim_silence(np.concatenate([silence, tone(0.5), silence]), RATE)
    assert 0.5 <= len(trimmed) / RATE <= 0.55
    assert len(trim_silence(silence, RATE)) == RATE


def test_long_clips_are_cut_at_their_pauses() -> None:
    pause = np.zeros(RATE // 2, dtype=np.float32)
    clip = Waveform(np.concatenate([tone(4.0), pause, tone(4.0), pause, tone(2.0)]))
    parts = split_at_pauses(clip, max_seconds=5.0)
    assert len(parts) == 3
    assert 4.0 <= parts[1][0] <= 4.5
    assert 8.5 <= parts[2][0] <= 9.0
    assert sum(duration for _, duration in parts) == pytest.approx(clip.duration)
    assert all(start == pytest.approx(sum(d for _, d in parts[:k])) for k, (start, _) in enumerate(parts))
    assert split_at_pauses(Waveform(tone(2.0)), max_seconds=5.0) == [(0.0, 2.0)]
    with pytest.raises(AudioError, match="0.1 s is the least"):
        split_at_pauses(clip, max_seconds=0.0)
