"""Whisper's encoder over a window that fits the clip, against the full window of its training."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path

from benchmarks.harness import Claim, Repeat, Side, Took, lacks_parts

_CLIPS_OF_3_S = 16


def _hearing(folder: Path, seconds: float, window: str) -> Repeat:
    import numpy as np
    import torch

    from speechverse.encoders import load_encoder

    encoder = load_encoder("whisper-base", window="full" if window == "full" else "fit")
    rng, num_clips = np.random.default_rng(0), max(1, round(_CLIPS_OF_3_S * 3 / seconds))
    clips = [
        (0.1 * rng.standard_normal(round(seconds * 16_000))).astype(np.float32)
        for _ in range(num_clips)
    ]

    def repeat() -> Took:
        began = time.perf_counter()
        with torch.inference_mode():
            for clip in clips:
                encoder(**encoder.prepare([clip]))
        return Took(time.perf_counter() - began, seconds * num_clips)

    return repeat


def _claim(seconds: float) -> Claim:
    fitting = Side("the window that fits", partial(_hearing, seconds=seconds, window="fit"))
    full = Side("the full 30 s", partial(_hearing, seconds=seconds, window="full"))
    return Claim(
        f"Whisper base hears a clip of {seconds:g} s", fitting, full, "audio s/s", 3, lacks_parts
    )


CLAIMS = [_claim(3.0), _claim(8.0), _claim(25.0)]
