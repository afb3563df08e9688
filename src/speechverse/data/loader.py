"""Batches in the plan's order, collated ahead by workers."""

from __future__ import annotations

import logging
import os
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from torch.utils.data import DataLoader, Dataset, Sampler, get_worker_info

from speechverse.data.collate import Batch, Collate
from speechverse.data.plan import BatchPlan, GlobalStep, MicroBatch
from speechverse.errors import RecipeError, UserError
from speechverse.tally import MAX_BAD_SHARE, refuse_too_many
from speechverse.types import AudioRef

log = logging.getLogger(__name__)

_PREFETCH = 4  # micro-batches that each worker keeps ready


@dataclass(frozen=True)
class LoadedStep:
    """One process's batches of a global step, and the share of positions that are no padding."""

    batches: tuple[Batch, ...]
    padding_efficiency: float


class _Collated(Dataset):
    """Turns a micro-batch, given as the index, into a batch; this is what runs in the workers."""

    def __init__(self, collator: Collate) -> None:
        self.collator = collator

    def __getitem__(self, micro_batch: MicroBatch) -> Batch | str:
        """A batch; in a worker, what is wrong in words: torch would hand its traceback on."""
        try:
            return self.collator(micro_batch.examples, micro_batch.loss_weights)
        except UserError as error:
            if get_worker_info() is None:
                raise
            return str(error)


class _RankSampler(Sampler):
    """Hands out one rank's micro-batches, and remembers the steps that they belong to."""

    def __init__(
        self, plan: BatchPlan, rank: int, world_size: int, steps: deque[GlobalStep]
    ) -> None:
        self.plan, self.rank, self.world_size, self.steps = plan, rank, world_size, steps

    def __iter__(self) -> Iterator[MicroBatch]:
        for step in self.plan.steps():
            self.steps.append(step)
            yield from map(_without_references, step.for_rank(self.rank, self.world_size))


def _without_references(micro_batch: MicroBatch) -> MicroBatch:
    """What goes to other processes: a reference may be anything, and nothing is learned from it."""
    return replace(
        micro_batch,
        examples=tuple(replace(example, reference=None) for example in micro_batch.examples),
    )


def _place_of(audio: AudioRef) -> str:
    """By which a clip is known in all corpora, whose ids may be alike."""
    return f"{audio.path}" + (f" from {audio.start:g} s" if audio.start else "")


def _whole(made: Batch | str) -> Batch:
    if isinstance(made, str):
        raise UserError(made)
    return made


@dataclass
class PlanLoader:
    """Endless loaded steps; iterated again, it goes on after the last step handed out.

    Attributes:
        num_workers: Processes that load and collate ahead; 0 does it in this one.
        max_bad_share: The share of utterances whose audio may fail; above it training stops.
        skipped: Recordings that failed, by file and part, with the reason.
    """

    plan: BatchPlan
    collator: Collate
    rank: int = 0
    world_size: int = 1
    num_workers: int = 0
    max_bad_share: float = MAX_BAD_SHARE
    skipped: dict[str, str] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        if self.plan.micro_batches % self.world_size:
            raise RecipeError(
                f"a global step of {self.plan.micro_batches} micro-batches cannot be dealt out"
                f" evenly to {self.world_size} processes; choose a multiple"
            )

    def __iter__(self) -> Iterator[LoadedStep]:
        steps: deque[GlobalStep] = deque()
        batches = iter(self._loader(steps))
        share = self.plan.micro_batches // self.world_size
        while True:
            loaded = tuple(_whole(next(batches)) for _ in range(share))
            step = steps.popleft()
            for batch in loaded:
                self._count_skipped(batch)
            self.plan.advance(step)
            yield LoadedStep(loaded, step.padding_efficiency)

    def state_dict(self) -> dict[str, Any]:
        """Where the next step is to be found, once the present one is done."""
        return {**self.plan.state_dict(), "skipped": dict(self.skipped)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes on after the step that another loader's state was taken at; see `BatchPlan`."""
        self.plan.load_state_dict(state)
        self.skipped = dict(state["skipped"])

    def _loader(self, steps: deque[GlobalStep]) -> DataLoader:
        sampler = _RankSampler(self.plan, self.rank, self.world_size, steps)
        if self.num_workers:  # tokenizers warn at a fork otherwise
            os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        return DataLoader(
            _Collated(self.collator),
            sampler=sampler,
            batch_size=None,
            num_workers=self.num_workers,
            prefetch_factor=_PREFETCH if self.num_workers else None,
        )

    def _count_skipped(self, batch: Batch) -> None:
        for row, reason in batch.skipped.items():
            utterance = batch.examples[row].utterance
            sound = _place_of(utterance.audio)
            if sound not in self.skipped:
                log.warning("'%s' cannot be used and is left out: %s", utterance.id, reason)
                self.skipped[sound] = reason
        refuse_too_many(self.skipped, self.plan.mixture.num_clips, self.max_bad_share)
