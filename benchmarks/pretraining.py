"""Pre-training the encoder: its batches, its precision, its memory and its loss, each against doing
without.
"""

from __future__ import annotations

import platform
import random
import time
from collections.abc import Iterator
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

from benchmarks.harness import Claim, Repeat, Side, Took

STEPS = 3  # in a repetition
UNITS = 2200  # of a CTC head
FRAME_RATE = 25


class _Pretraining:
    """The recipe `best-rq` over a little world; `precision` as in a recipe's `training`."""

    def __init__(self, folder: Path, precision: str = "fp32") -> None:
        from benchmarks import material
        from speechverse.training.build import build_encoder, make_trainable
        from speechverse.training.engine import Engine
        from speechverse.training.inputs import HeardInputs
        from speechverse.training.recipe_files import load_recipe
        from speechverse.training.sources import Sources
        from speechverse.training.stage import StageRun

        material.world(folder)
        changes = [
            f"data.corpora.own={{path: {folder / 'world'}}}",
            f"training.precision={precision}",
        ]
        recipe = load_recipe(
            "best-rq", [*changes, "data.validation={every: null}", "data.workers=0"]
        )
        stage, engine, model = recipe.curriculum[0], Engine.make(recipe), build_encoder(recipe)
        inputs, self.sources = HeardInputs(recipe, model), Sources(recipe)
        self.collate, self.frame_rate = inputs.collator(stage), model.front_end.frame_rate
        self.steps = iter(self.sources.loader(stage, inputs.length(stage), self.collate, engine))
        self.mixture = self.sources.mixture(stage)
        self.run = StageRun(
            stage, recipe, engine, model, make_trainable(model, stage.train, recipe)
        )

    def repeated(self, steps: Iterator[Any]) -> Repeat:
        """Takes the next steps each time, making the batches included."""
        numbers = count()

        def repeat() -> Took:
            true, whole, began = 0, 0, time.perf_counter()
            for _ in range(STEPS):
                loaded = next(steps)
                self.run.step(next(numbers), loaded)
                labels = loaded.batches[0].inputs["labels"]
                true, whole = true + int((labels >= 0).sum()), whole + labels.numel()
            seconds = time.perf_counter() - began
            return Took(seconds, true / self.frame_rate, {"padding efficiency": true / whole})

        return repeat


def _planned(folder: Path) -> Repeat:
    pretraining = _Pretraining(folder)
    return pretraining.repeated(pretraining.steps)


def _plain_loop(folder: Path) -> Repeat:
    from speechverse.data import LoadedStep

    pretraining, rng = _Pretraining(folder), random.Random(0)
    draws = list(pretraining.mixture.draws(0))
    size = round(sum(len(next(pretraining.steps).batches[0].examples) for _ in range(16)) / 16)

    def steps() -> Iterator[LoadedStep]:
        while True:
            examples = [pretraining.mixture.example(draw) for draw in rng.sample(draws, size)]
            yield LoadedStep((pretraining.collate(examples, [1.0] * size),), 1.0)

    return pretraining.repeated(steps())


def _stepping(folder: Path, precision: str, keeps_memory: bool) -> Repeat:
    """The same batches, with or without what a run sets up for its speed."""
    from speechverse.training.memory import keep_freed_memory

    if keeps_memory:
        keep_freed_memory()
    pretraining = _Pretraining(folder, precision)
    return pretraining.repeated(pretraining.steps)


def _aligning(folder: Path, own_units: bool) -> Repeat:
    """CTC's loss of one batch and its gradient, over random logits of some thousand units."""
    import torch
    from torch.nn.functional import ctc_loss

    from benchmarks import material
    from speechverse.encoders.best_rq.pieces import learn_pieces
    from speechverse.encoders.ctc_loss import ctc_nll

    texts = [utterance.text or "" for utterance in material.world(folder).utterances("train")]
    targets = learn_pieces(texts, UNITS)(texts[:16])["input_ids"]
    sizes = torch.tensor([len(target) for target in targets])
    lengths = 4 * sizes.clamp(min=1)
    flat = torch.tensor([unit for target in targets for unit in target])
    noise = torch.randn(
        len(targets), int(lengths.max()), UNITS, generator=torch.Generator().manual_seed(0)
    )
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
        return Took(seconds, STEPS * int(lengths.sum()) / FRAME_RATE, facts)

    return repeat


def _no_bf16() -> str | None:
    import torch

    from speechverse.training.engine import resolve_precision

    has_units = resolve_precision("auto", torch.device("cpu")) == "bf16"
    return None if has_units else "this CPU has no bf16 units"


def _no_glibc() -> str | None:
    return None if platform.libc_ver()[0] == "glibc" else "this system's C library is not glibc"


_OURS = Side("like lengths together", _planned)
_PLAIN = Side("random batches of the same mean size", _plain_loop)
_HALF = Side("bf16 autocast", partial(_stepping, precision="bf16", keeps_memory=True))
_WHOLE = Side("fp32", partial(_stepping, precision="fp32", keeps_memory=True))
_KEPT = Side("freed memory kept", partial(_stepping, precision="auto", keeps_memory=True))
_RETURNED = Side(
    "freed memory returned, as by default", partial(_stepping, precision="auto", keeps_memory=False)
)
_OWN_UNITS = Side("each row's own units", partial(_aligning, own_units=True))
_ALL_UNITS = Side("torch's ctc_loss over all units", partial(_aligning, own_units=False))
CLAIMS = (
    Claim("BEST-RQ: batches of like lengths against random ones", _OURS, _PLAIN, "audio s/s"),
    Claim("BEST-RQ: bf16 against fp32, same batches", _HALF, _WHOLE, "audio s/s", lacks=_no_bf16),
    Claim(
        "BEST-RQ: freed memory kept or not, same batches",
        _KEPT,
        _RETURNED,
        "audio s/s",
        lacks=_no_glibc,
    ),
    Claim(
        "CTC's loss and gradient: a row's own units against all",
        _OWN_UNITS,
        _ALL_UNITS,
        "audio s/s",
    ),
)
