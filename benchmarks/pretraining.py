"""Pre-training the encoder: batches of like lengths of features made once against random ones made at each step."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path
from statistics import mean
from typing import Any

from benchmarks.harness import Claim, Repeat, Side, Took

STEPS = 3  # in a repetition


class _Phase:
    """The tiny encoder's first phase, BEST-RQ, over a little world."""

    def __init__(self, folder: Path) -> None:
        import torch

        from benchmarks import material
        from speechverse.foundations.features import MEL_FRAME_RATE, SpeechBatches, make_features
        from speechverse.foundations.objectives import Objectives
        from speechverse.training.optim import make_optimizer

        recipe = material.encoder_recipe()
        self.utterances = list(material.world(folder).utterances("train"))
        self.stride, began = recipe.shape.stride, time.perf_counter()
        store = make_features(self.utterances, folder / "mels", recipe.data.workers)
        self.frame_rate = MEL_FRAME_RATE / self.stride
        self.made_at = sum(store.lengths) / MEL_FRAME_RATE / (time.perf_counter() - began)
        frames = round(recipe.data.batch_seconds * MEL_FRAME_RATE)
        self.batches = SpeechBatches(store, range(len(store)), frames, recipe.seed)
        torch.manual_seed(0)
        self.model = Objectives(recipe.shape, recipe.objective, material.tokenizer(), {}).train()
        self.optimizer = make_optimizer(self.model.parameters(), recipe.best_rq.learning_rate)
        self.generator = torch.Generator().manual_seed(0)

    def step(self, batch: Any) -> None:
        from torch.nn.utils import clip_grad_norm_

        self.model.named(batch, self.generator).loss.backward()
        clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)

    def repeated(self, batch_of: Callable[[int], Any], facts: dict[str, Any]) -> Repeat:
        """Takes the next steps each time, making the batches included."""
        numbers = count()

        def repeat() -> Took:
            masks, began = [], time.perf_counter()
            for _ in range(STEPS):
                batch = batch_of(next(numbers))
                self.step(batch)
                masks.append(batch.mask)
            seconds, true = time.perf_counter() - began, sum(int(mask.sum()) for mask in masks)
            efficiency = true / sum(mask.numel() for mask in masks)
            return Took(seconds, true / self.frame_rate, {"padding efficiency": efficiency, **facts})

        return repeat


def _made_once(folder: Path) -> Repeat:
    from speechverse.foundations.features import stacked

    phase = _Phase(folder)

    def batch_of(step: int) -> Any:
        return stacked(phase.batches[step], phase.stride)

    return phase.repeated(batch_of, {"features made at (audio s/s)": phase.made_at})


def _plain_loop(folder: Path) -> Repeat:
    from speechverse.audio import load
    from speechverse.encoders import length_mask
    from speechverse.foundations.features import SpeechBatch, front_end

    phase, rng = _Phase(folder), random.Random(0)
    make = front_end(phase.stride)
    size = round(mean(len(phase.batches[step].rows) for step in range(16)))

    def batch_of(step: int) -> SpeechBatch:
        rows = rng.sample(range(len(phase.utterances)), size)
        inputs = make.prepare([load(phase.utterances[row].audio).samples for row in rows])
        features = inputs["input_features"]
        return SpeechBatch(features, length_mask(inputs["frame_lengths"], features.shape[1]).long(), rows)

    return phase.repeated(batch_of, {})


_OURS = Side("like lengths together, features from a file", _made_once)
_PLAIN = Side("random batches of the same mean size, from audio", _plain_loop)
CLAIMS = (Claim("BEST-RQ: bucketed features made once against features made at each step", _OURS, _PLAIN, "audio s/s"),)
