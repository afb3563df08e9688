"""Clips without a longer quiet end than a model knows."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace

from speechverse.audio import load
from speechverse.audio.waveform import without_quiet_end
from speechverse.errors import AudioError
from speechverse.types import SAMPLING_RATE, AudioRef, Seconds, Utterance


class WithoutQuietEnds:
    """Utterances about what is heard of their clips; each clip is listened to once.

    Args:
        kept: Seconds of quiet at the end that are heard; None leaves all as it is.
    """

    def __init__(self, kept: Seconds | None) -> None:
        self._kept = kept
        self._heard: dict[AudioRef, Seconds] = {}

    def __call__(self, utterance: Utterance) -> Utterance:
        if self._kept is None:
            return utterance
        first, *beside = map(self._clip, utterance.clips)
        return replace(first, beside=tuple(beside))

    def all(self, utterances: Iterable[Utterance]) -> list[Utterance]:
        return [self(utterance) for utterance in utterances]

    def _clip(self, clip: Utterance) -> Utterance:
        assert self._kept is not None
        if clip.audio not in self._heard:
            self._heard[clip.audio] = clip.duration
            with suppress(AudioError):  # which is told where the clip is needed
                heard = without_quiet_end(load(clip.audio).samples, self._kept)
                self._heard[clip.audio] = len(heard) / SAMPLING_RATE
        seconds = self._heard[clip.audio]
        if seconds >= clip.duration:
            return replace(clip, beside=())
        return replace(
            clip, audio=replace(clip.audio, duration=seconds), duration=seconds, beside=()
        )
