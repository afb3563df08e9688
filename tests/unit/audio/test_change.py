"""Saving, levels, trimming."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from speechverse.audio import Waveform, is_silent, load, save
from speechverse.audio.waveform import trim_silence
from speechverse.errors import AudioError

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
    with pytest.raises(AudioError, match="FLAC does not take 1000000 Hz; resample"):
        save(tmp_path / "clip.flac", Waveform(tone(), 1_000_000))
    (tmp_path / "file").write_text("")
    with pytest.raises(AudioError, match="cannot write"):
        save(tmp_path / "file" / "clip.wav", Waveform(tone()))


def test_silence_is_told_from_quiet_sound() -> None:
    assert is_silent(Waveform(np.zeros(RATE, dtype=np.float32)))
    assert is_silent(Waveform(np.random.default_rng(0).normal(0, 1e-5, RATE).astype(np.float32)))
    assert not is_silent(
        Waveform(np.concatenate([np.zeros(5 * RATE, dtype=np.float32), tone(0.1, level=0.01)]))
    )


def test_trims_both_ends() -> None:
    silence = np.zeros(RATE, dtype=np.float32)
    trimmed = trim_silence(np.concatenate([silence, tone(0.5), silence]), RATE)
    assert 0.5 <= len(trimmed) / RATE <= 0.55
    assert len(trim_silence(silence, RATE)) == RATE
