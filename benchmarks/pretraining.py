"""Pre-training the encoder: its batches, its precision, its memory and its loss, each against doing without."""

from __future__ import annotations

import platform
import random
import time
from collections.abc import Callable
from functools import partial
from itertools import count
from pathlib import Path
from statistics import mean
from typing import Any

from benchmarks.harness import Claim, Repeat, Side, Took

STEPS = 3  # in a repetition
UNITS = 2200  # of a CTC head


class _Phase:
    """A small encoder's first phase, BEST-RQ, over a little world; `precision` as in a recipe's `compute`."""

    def __init__(self, folder: Path, precision: str = "fp32") -> None:
        import torch

        from benchmarks import material
        from speechverse.foundations.compute import Compute
        from speechverse.foundations.features import MEL_FRAME_RATE, SpeechBatches, make_features
        from speechverse.foundations.objectives import Objectives
        from speechverse.training.optim import make_optimizer

        recipe = material.encoder_recipe()
        settings = recipe.compute.model_copy(update={"device": "cpu", "precision": precision})
        compute = Compute.of(settings)
        self.utterances = list(material.world(folder).utterances("train"))
        self.stride, began = recipe.shape.stride, time.perf_counter()
        store = make_features(self.utterances, folder / "mels", recipe.data.workers)
        self.frame_rate = MEL_FRAME_RATE / self.stride
        self.made_at = sum(store.lengths) / MEL_FRAME_RATE / (time.perf_counter() - began)
        frames = round(recipe.data.batch_seconds * MEL_FRAME_RATE)
        self.batches = SpeechBatches(store, range(len(store)), frames, recipe.seed)
        torch.manual_seed(0)
        self.model = Objectives(recipe.shape, recipe.objective, None, compute).train()
        self.optimizer = make_optimizer(self.model.parameters(), recipe.best_rq.learning_rate)
        self.generator = torch.Generator().manual_seed(0)

    def step(self, batch: Any) -> None:
        from torch.nn.utils import clip_grad_norm_

        self.model.masked_prediction(batch, self.generator).loss.backward()
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


def _stepping(folder: Path, precision: str, keeps_memory: bool) -> Repeat:
    """The same batches of features made once, with or without what a run sets up for its speed."""
    from speechverse.foundations.features import stacked
    from speechverse.training.memory import keep_freed_memory

    if keeps_memory:
        keep_freed_memory()
    phase = _Phase(folder, precision)
    return phase.repeated(lambda step: stacked(phase.batches[step], phase.stride), {})


def _aligning(folder: Path, own_units: bool) -> Repeat:
    """CTC's loss of one batch and its gradient, over random logits of some thousand units."""
    import torch
    from torch.nn.functional import ctc_loss

    from speechverse.encoders.ctc_loss import ctc_nll
    from speechverse.foundations.features import stacked
    from speechverse.foundations.pieces import learn_pieces

    phase = _Phase(folder)
    batch = stacked(phase.batches[0], phase.stride)
    texts = [phase.utterances[row].text or "" for row in batch.rows]
    targets = learn_pieces([utterance.text or "" for utterance in phase.utterances], UNITS)(texts)["input_ids"]
    lengths, sizes = batch.mask.sum(dim=1), torch.tensor([len(target) for target in targets])
    flat = torch.tensor([unit for target in targets for unit in target])
    noise = torch.randn(*batch.mask.shape, UNITS, generator=torch.Generator().manual_seed(0))
    logits, blank = noise.requires_grad_(), 0

    def plain() -> torch.Tensor:
        scores = logits.log_softmax(dim=-1).transpose(0, 1)
        return ctc_loss(scores, flat, lengths, sizes, blank, reduction="none", zero_infinity=True)

    def repeat() -> Took:
        began = time.perf_counter()
        for _ in range(STEPS):
            loss = (ctc_nll(logits, lengths, targets, blank) if own_units else plain()).sum()
            loss.backward()
            gradient, logits.grad = logits.grad, None
        seconds = time.perf_counter() - began
        facts = {"loss": loss.item(), "gradient's norm": gradient.norm().item(), "units": UNITS}
        return Took(seconds, STEPS * int(lengths.sum()) / phase.frame_rate, facts)

    return repeat


def _no_bf16() -> str | None:
    import torch

    from speechverse.training.engine import resolve_precision

    has_units = resolve_precision("auto", torch.device("cpu")) == "bf16"
    return None if has_units else "this CPU has no bf16 units"


def _no_glibc() -> str | None:
    return None if platform.libc_ver()[0] == "glibc" else "this system's C library is not glibc"


_OURS = Side("like lengths together, features from a file", _made_once)
_PLAIN = Side("random batches of the same mean size, from audio", _plain_loop)
_HALF = Side("bf16 autocast", partial(_stepping, precision="bf16", keeps_memory=True))
_WHOLE = Side("fp32", partial(_stepping, precision="fp32", keeps_memory=True))
_KEPT = Side("freed memory kept", partial(_stepping, precision="auto", keeps_memory=True))
_RETURNED = Side("freed memory returned, as by default", partial(_stepping, precision="auto", keeps_memory=False))
_OWN_UNITS = Side("each row's own units", partial(_aligning, own_units=True))
_ALL_UNITS = Side("torch's ctc_loss over all units", partial(_aligning, own_units=False))
CLAIMS = (
    Claim("BEST-RQ: bucketed features made once against features made at each step", _OURS, _PLAIN, "audio s/s"),
    Claim("BEST-RQ: bf16 against fp32, same batches", _HALF, _WHOLE, "audio s/s", lacks=_no_bf16),
    Claim("BEST-RQ: freed memory kept or not, same batches", _KEPT, _RETURNED, "audio s/s", lacks=_no_glibc),
    Claim("CTC's loss and gradient: a row's own units against all", _OWN_UNITS, _ALL_UNITS, "audio s/s"),
)
