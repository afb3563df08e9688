"""What happens to a sound on its way keeps its words: levels, noise, rooms, codecs, the telephone."""

from __future__ import annotations

import numpy as np
import pytest

from speechverse.audio.waveform import active_level_db, level_db, window_levels_db
from speechverse.world.effects import (
    CODECS,
    add_noise,
    add_room,
    apply_codec,
    clip_peaks,
    limit_to_telephone_band,
    set_level,
    tilt_spectrum,
)

RATE = 16_000


def tone(
    seconds: float = 1.0, frequency: float | np.ndarray = 440.0, level: float = 0.3
) -> np.ndarray:
    return (level * np.sin(2 * np.pi * frequency * np.arange(int(seconds * RATE)) / RATE)).astype(
        np.float32
    )


def test_level_counts_the_sounding_parts_only() -> None:
    padded = np.concatenate([np.zeros(3 * RATE, dtype=np.float32), tone()])
    assert active_level_db(set_level(padded, -24.0)) == pytest.approx(-24.0, abs=0.1)
    assert np.abs(set_level(tone(), 20.0)).max() == pytest.approx(0.95, abs=1e-3)
    assert not set_level(np.zeros(100, dtype=np.float32), -20.0).any()


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
        heard = apply_codec(clip, name)
        assert heard.shape == clip.shape and heard.dtype == np.float32
        np.testing.assert_array_equal(heard, apply_codec(clip, name))
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


def test_a_codec_takes_what_is_beyond_full_scale() -> None:
    assert np.abs(apply_codec(tone(level=2.0), "mu-law")).max() < 1.1


def test_a_telephone_leaves_300_to_3400_hz() -> None:
    lost = {
        hertz: level_db(tone(frequency=hertz))
        - level_db(limit_to_telephone_band(tone(frequency=hertz)))
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
