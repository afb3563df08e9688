"""The corpus maker, with all it does to a clip, against a plain loop over the espeak-ng library."""

from __future__ import annotations

import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.harness import Claim, Repeat, Side, Took


def _spec() -> Any:
    from speechverse.world import SynthSpec

    return SynthSpec(
        num_train=300, num_dev=0, seed=12, non_speech_share=0.0
    )  # two shards, all of it spoken


def _maker(folder: Path, workers: int) -> Repeat:
    from speechverse.world import synthesize_corpus

    def repeat() -> Took:
        with tempfile.TemporaryDirectory(dir=folder) as place:
            report = synthesize_corpus(place, _spec(), num_workers=workers)
        return Took(report.wall_seconds, report.made_seconds)

    return repeat


def _library(folder: Path) -> Repeat:
    """The same sentences in the same voices to 16 kHz FLAC, one by one: no styles, rooms, noise,
    labels, manifest.
    """
    import numpy as np

    from speechverse.audio import Waveform, resample, save
    from speechverse.world.espeak import Espeak
    from speechverse.world.plan import plan_split

    espeak, clips = Espeak(0), plan_split(_spec(), "train")

    def repeat() -> Took:
        with tempfile.TemporaryDirectory(dir=folder) as place:
            spoken, began = 0.0, time.perf_counter()
            for clip in clips:
                turns = [espeak.say(turn.text, turn.voice, turn.prosody) for turn in clip.turns]
                samples = resample(np.concatenate(turns), espeak.sampling_rate)
                waveform = Waveform(np.clip(samples, -1.0, 1.0))
                save(Path(place) / f"{clip.id}.flac", waveform)
                spoken += waveform.duration
            return Took(time.perf_counter() - began, spoken)

    return repeat


def _claim(workers: int) -> Claim:
    title = f"making a corpus, worker processes: {workers}, against a plain loop"
    ours = Side("plan, styles, rooms, noise, FLAC, manifest", partial(_maker, workers=workers))
    return Claim(
        title,
        ours,
        Side("espeak-ng's library, clip by clip, FLAC", _library),
        "audio s/s",
        repetitions=3,
    )


CLAIMS = (_claim(1), _claim(2))
