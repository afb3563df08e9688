"""What is left out of a clip's end, and what never is."""

from __future__ import annotations

import numpy as np
import pytest

from speechverse.audio.waveform import without_quiet_end
from speechverse.types import SAMPLING_RATE

RNG = np.random.default_rng(0)


def noise(seconds: float, level: float) -> np.ndarray:
    return (level * RNG.standard_normal(round(seconds * SAMPLING_RATE))).astype(np.float32)


def seconds_of(*parts: np.ndarray, kept: float = 0.3) -> float:
    return len(without_quiet_end(np.concatenate(parts), kept)) / SAMPLING_RATE


@pytest.mark.parametrize("room", [0.0, 0.0005])
def test_a_longer_quiet_end_is_left_out_be_it_digital_or_a_rooms(room: float) -> None:
    assert seconds_of(noise(1.0, 0.1), noise(4.0, room)) == pytest.approx(1.3, abs=0.03)


@pytest.mark.parametrize("room", [0.0, 0.0005])
def test_a_short_word_has_its_quiet_end_left_out_too(room: float) -> None:
    assert seconds_of(noise(0.12, 0.1), noise(4.0, room)) == pytest.approx(0.42, abs=0.03)


def test_what_ends_within_the_quiet_that_is_known_is_whole() -> None:
    assert seconds_of(noise(1.0, 0.1), noise(0.3, 0.0)) == pytest.approx(1.3)


def test_faint_speech_behind_a_bang_and_a_word_behind_a_pause_are_kept() -> None:
    bang = noise(0.05, 1.0)
    assert seconds_of(bang, noise(2.0, 0.005)) == pytest.approx(2.05)
    talk, pause = noise(1.0, 0.1), noise(3.0, 0.0)
    assert seconds_of(talk, pause, noise(0.2, 0.01)) == pytest.approx(4.2)


@pytest.mark.parametrize("sound", [noise(2.0, 0.0), noise(2.0, 0.0001), noise(0.01, 0.1)])
def test_a_clip_that_is_silent_or_hardly_a_clip_is_whole(sound: np.ndarray) -> None:
    assert seconds_of(sound) == len(sound) / SAMPLING_RATE
