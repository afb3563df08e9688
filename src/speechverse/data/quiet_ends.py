"""Clips without a longer quiet end than a model knows."""

from __future__ import annotations

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
        self._heard: dict[AudioRef, Seconds | None] = {}

    def __call__(self, utterance: Utterance) -> Utterance:
        heard = [self._clip(clip) for clip in utterance.clips]
        if all(one is None for one in heard):
            return utterance
        first, *beside = (
            replace(clip, beside=())
            if seconds is None
            else replace(
                clip, audio=replace(clip.audio, duration=seconds), duration=seconds, beside=()
            )
            for clip, seconds in zip(utterance.clips, heard, strict=True)
        )
        return replace(first, beside=tuple(beside))

    def _clip(self, clip: Utterance) -> Seconds | None:
        """How much of a clip is heard; None of one that is heard whole."""
        if self._kept is None:
            return None
        if clip.audio not in self._heard:
            self._heard[clip.audio] = None
            with suppress(AudioError):  # which is told where the clip is needed
                whole = load(clip.audio).samples
                heard = without_quiet_end(whole, self._kept)
                if len(heard) < len(whole):
                    self._heard[clip.audio] = len(heard) / SAMPLING_RATE
        return self._heard[clip.audio]
