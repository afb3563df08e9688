"""The batch plan: one sequence of global steps for any number of processes and workers.

lhotse's bucketing sampler always runs as rank 0 of 1, over rendered examples measured in LLM
positions, one sampler iteration a pass; the micro-batches of a step are dealt out to the ranks.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from lhotse.dataset import DynamicBucketingSampler
from lhotse.dataset.sampling.base import SamplingConstraint
from lhotse.dataset.sampling.dynamic_bucketing import estimate_duration_buckets

from speechverse.batching import in_batches
from speechverse.data.mixture import Mixture
from speechverse.errors import (
    AudioError,
    AudioTooLongError,
    CheckpointError,
    CorpusError,
    RecipeError,
)
from speechverse.seeding import fingerprint
from speechverse.types import Example

log = logging.getLogger(__name__)

Length = Callable[[Example], int]
"""LLM positions an example takes; raises AudioError for a clip that the model cannot take."""

_NUM_FOR_BUCKETS = 2_000
_BUFFER_SIZE = 5_000  # examples held in the buckets


@dataclass(frozen=True, slots=True)
class MicroBatch:
    """Examples that go through the model together, with their loss weights and LLM positions."""

    examples: tuple[Example, ...]
    loss_weights: tuple[float, ...]
    positions: tuple[int, ...]

    @property
    def padded_positions(self) -> int:
        """Positions the batch takes with its padding."""
        return len(self.positions) * max(self.positions)


@dataclass(frozen=True, slots=True)
class PlanState:
    """How far a plan has been walked: passes, micro-batches of the present pass, steps in all."""

    pass_index: int = 0
    micro_batches: int = 0
    steps: int = 0


@dataclass(frozen=True, slots=True)
class GlobalStep:
    """What one optimiser step sees, for all ranks, and the plan's state once it is done."""

    micro_batches: tuple[MicroBatch, ...]
    after: PlanState

    def for_rank(self, rank: int, world_size: int) -> tuple[MicroBatch, ...]:
        """The micro-batches of one process; every process gets as many."""
        return self.micro_batches[rank::world_size]

    @property
    def padding_efficiency(self) -> float:
        """The share of positions that are no padding, 0 to 1."""
        real = sum(sum(batch.positions) for batch in self.micro_batches)
        return real / sum(batch.padded_positions for batch in self.micro_batches)


@dataclass
class _Candidate:
    """A rendered draw as lhotse's sampler carries it."""

    id: str
    example: Example
    loss_weight: float
    positions: int
    dataloading_info: Any = None


@dataclass
class _Positions(SamplingConstraint):
    """A budget of positions with padding, in which an example counts as its bucket's upper bound.

    The bound, not the longest example so far, makes it hold whatever comes next from the bucket.
    """

    max_positions: int
    max_examples: int
    bounds: Sequence[int] = ()
    longest: int = 0
    count: int = 0

    def add(self, example: _Candidate) -> None:
        place = self.select_bucket(self.bounds, example_len=example.positions)
        bound = self.bounds[place] if place < len(self.bounds) else example.positions
        self.longest = max(self.longest, bound)
        self.count += 1

    def exceeded(self) -> bool:
        return self.count > self.max_examples or self.count * self.longest > self.max_positions

    def close_to_exceeding(self) -> bool:
        return (
            self.count >= self.max_examples or (self.count + 1) * self.longest > self.max_positions
        )

    def reset(self) -> None:
        self.longest = self.count = 0

    def measure_length(self, example: _Candidate) -> int:
        return example.positions


@dataclass
class PlanReport:
    """What one pass has drawn so far, with what is held ready, and what of it was left out.

    Attributes:
        draws_left_out: Draws that do not fit the budget or the model.
        left_out: The reason, by the example's id.
        turns_left_out: Earlier turns without which an example was drawn, for it fits only so.
    """

    drawn: int = 0
    draws_left_out: int = 0
    turns_left_out: int = 0
    left_out: dict[str, str] = field(default_factory=dict)


@dataclass
class BatchPlan:
    """Global steps from a mixture.

    Attributes:
        max_positions: Budget of a micro-batch, padding counted; an example over it loses its
            earlier turns, the first of them first, or is left out where it has none.
        micro_batches: In a global step, over all processes: accumulation times processes.
        num_buckets: Buckets of like length.
        report: What the present pass left out.
    """

    mixture: Mixture
    length: Length
    max_positions: int
    max_examples: int = 256
    micro_batches: int = 1
    num_buckets: int = 10
    report: PlanReport = field(default_factory=PlanReport, init=False)

    def __post_init__(self) -> None:
        for name in ("max_positions", "max_examples", "micro_batches", "num_buckets"):
            if getattr(self, name) < 1:
                raise RecipeError(
                    f"the batch plan's {name} is at least 1, not {getattr(self, name)}"
                )
        self.state = PlanState()
        self._bounds: list[int] | None = None

    def steps(self) -> Iterator[GlobalStep]:
        """Endless steps from the present state on; `advance` says which were consumed."""
        batches = self._walk(self.state.pass_index, self.state.micro_batches)
        for steps in itertools.count(self.state.steps + 1):
            group = list(itertools.islice(batches, self.micro_batches))
            pass_index, consumed, _ = group[-1]
            yield GlobalStep(
                tuple(batch for _, _, batch in group), PlanState(pass_index, consumed, steps)
            )

    def advance(self, step: GlobalStep) -> None:
        """Notes that a step has been consumed."""
        self.state = step.after

    def state_dict(self) -> dict[str, Any]:
        """Where the plan stands, and the digest of what it was made from."""
        at = self.state
        place = {"pass": at.pass_index, "micro_batches": at.micro_batches, "steps": at.steps}
        return {**place, "seed": self.mixture.seed, "digest": self.digest}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes to where another plan of the same making stood; the walk there happens in `steps`.

        Raises:
            CheckpointError: If the state was made by a plan with other data or settings.
        """
        if state.get("digest") != self.digest:
            raise CheckpointError(
                "the checkpoint was made with other data or batch settings (corpora, tasks or their"
                " versions, weights, seed or budget), so its place in the data cannot be found"
                " again; resume with the same ones or begin a new run"
            )
        self.state = PlanState(state["pass"], state["micro_batches"], state["steps"])

    @property
    def digest(self) -> str:
        """Changes whenever the plan would."""
        batch = (self.max_positions, self.max_examples, self.micro_batches, self.num_buckets)
        return fingerprint(repr((self.mixture.digest, (*batch, _BUFFER_SIZE))))

    def _walk(self, pass_index: int, skip: int) -> Iterator[tuple[int, int, MicroBatch]]:
        """Micro-batches from a place on, with their pass and their number in it, from 1."""
        for index in itertools.count(pass_index):
            numbered = enumerate(self._pass(index), start=1)
            for number, batch in itertools.islice(numbered, skip, None):
                yield index, number, batch
            skip = 0

    def _pass(self, pass_index: int) -> Iterator[MicroBatch]:
        report = self.report = PlanReport()
        sampler = DynamicBucketingSampler(
            self._candidates(pass_index, report),
            constraint=_Positions(self.max_positions, self.max_examples, self._bucket_bounds()),
            duration_bins=self._bucket_bounds()[:-1],
            shuffle=True,
            buffer_size=_BUFFER_SIZE,
            world_size=1,
            rank=0,
            seed=self.mixture.seed,
            # else lhotse 1.33 takes empty buckets for full ones and ends the pass early
            sync_buckets=True,
        )
        sampler.set_epoch(pass_index)
        for candidates in sampler:
            yield from _within(list(candidates), self.max_positions)
        _warn_of_left_out(report)
        if report.draws_left_out == report.drawn:
            raise CorpusError(
                f"no example of pass {pass_index} fits in {self.max_positions} positions"
            )

    def _candidates(self, pass_index: int, report: PlanReport) -> Iterator[_Candidate]:
        for draw in self.mixture.draws(pass_index):
            report.drawn += 1
            drawn = self.mixture.example(draw)
            try:
                example, positions = self._fitting(drawn)
            except AudioError as error:
                report.draws_left_out += 1
                report.left_out[drawn.id] = str(error)
                continue
            report.turns_left_out += len(drawn.earlier) - len(example.earlier)
            yield _Candidate(example.id, example, self.mixture.loss_weight(draw), positions)

    def _fitting(self, example: Example) -> tuple[Example, int]:
        """The example with as many of its latest turns as fit, and its positions."""
        while True:
            try:
                return example, self._positions(example)
            except AudioError:
                if not example.earlier:
                    raise
                example = replace(example, earlier=example.earlier[1:])

    def _positions(self, example: Example) -> int:
        positions = self.length(example)
        if positions > self.max_positions:
            raise AudioTooLongError(
                f"{positions} positions, {self.max_positions} fit in a batch (`max_positions`)"
            )
        return positions

    def _bucket_bounds(self) -> list[int]:
        """Upper bounds with about equal shares of the positions in each; the same in every pass."""
        if self._bounds is None:
            report = PlanReport()
            first = list(itertools.islice(self._candidates(0, report), _NUM_FOR_BUCKETS))
            _warn_of_left_out(report)
            if not first:
                raise CorpusError(
                    f"no example fits in {self.max_positions} positions: raise `max_positions` or"
                    " use shorter audio"
                )
            num_buckets = min(self.num_buckets, len(first))
            constraint = _Positions(self.max_positions, self.max_examples)
            bounds = {max(item.positions for item in first)}
            if num_buckets > 1:
                bounds |= set(map(int, estimate_duration_buckets(first, num_buckets, constraint)))
            self._bounds = sorted(bounds)
        return self._bounds


def _warn_of_left_out(report: PlanReport) -> None:
    if report.left_out:
        first, reason = next(iter(report.left_out.items()))
        told = f"{report.draws_left_out} of {report.drawn} examples do not fit and are left out"
        log.warning("%s (first: '%s': %s)", told, first, reason)
    if report.turns_left_out:
        log.warning(
            "%d earlier turns do not fit and are left out of %d examples drawn",
            report.turns_left_out,
            report.drawn,
        )


def _within(candidates: Sequence[_Candidate], max_positions: int) -> Iterator[MicroBatch]:
    """Several where an example longer than any bucket's bound broke the budget."""
    longest = max(candidate.positions for candidate in candidates)
    fit = max(1, max_positions // longest)
    for some in in_batches(candidates, fit):
        rows = [(c.example, c.loss_weight, c.positions) for c in some]
        yield MicroBatch(*zip(*rows, strict=True))
