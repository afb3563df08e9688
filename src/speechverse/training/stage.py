"""One stage of the curriculum: its optimiser, its batches, its steps."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import Parameter

from speechverse.data import Batch, LoadedStep
from speechverse.errors import DivergedError
from speechverse.seeding import hash_seed
from speechverse.training.engine import Engine
from speechverse.training.loss import TaskSums, loss_numbers, merge_sums, weighted_tokens
from speechverse.training.objectives import example_losses
from speechverse.training.optim import make_optimizer, make_schedule
from speechverse.training.recipe import Recipe, StageSection


@dataclass
class Window:
    """What happened since the last log, on this process."""

    sums: TaskSums = field(default_factory=TaskSums)
    steps: int = 0
    audio_seconds: float = 0.0
    efficiency: float = 0.0
    since: float = field(default_factory=time.perf_counter)

    def state(self) -> dict[str, Any]:
        """Everything but the clock, so that a resumed run logs what an unbroken one would."""
        kept = {name: getattr(self, name) for name in ("steps", "audio_seconds", "efficiency")}
        return {"sums": self.sums.read(), **kept}

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Time in the block does not count against the throughput."""
        began = time.perf_counter()
        yield
        self.since += time.perf_counter() - began

    @classmethod
    def of(cls, state: dict[str, Any]) -> Window:
        return cls(**{**state, "sums": TaskSums(state["sums"])})


class StageRun:
    """A stage in progress: everything that a step touches."""

    def __init__(
        self,
        stage: StageSection,
        recipe: Recipe,
        engine: Engine,
        model: nn.Module,
        trained: Sequence[Parameter],
    ) -> None:
        """Gives the stage a fresh optimiser for the parameters that train, in a fixed order."""
        self.stage, self.recipe, self.engine, self.trained = stage, recipe, engine, list(trained)
        optimizer = make_optimizer(self.trained, stage.learning_rate, recipe.training.weight_decay)
        self.schedule = make_schedule(optimizer, stage.schedule, stage.warmup_steps, stage.steps)
        self.model, self.optimizer = engine.accelerator.prepare(model.train(), optimizer)
        self.window = Window()
        self.grad_norm: Tensor | float = math.nan
        self.learning_rate = math.nan  # of the step taken last, as the norm

    def state(self) -> dict[str, Any]:
        return {"optimizer": self.optimizer.state_dict(), "schedule": self.schedule.state_dict()}

    def restore(self, state: dict[str, Any]) -> None:
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])

    def end(self) -> None:
        """Lets go of the optimiser's memory; the stage takes no more steps."""
        del self.model, self.optimizer, self.schedule
        self.trained.clear()
        self.engine.accelerator.free_memory()

    def step(self, number: int, loaded: LoadedStep) -> None:
        """One optimiser step on this process' micro-batches; nothing here waits for the device."""
        total = self._global_tokens(loaded.batches)
        last = len(loaded.batches) - 1
        for index, batch in enumerate(loaded.batches):
            place = index * self.engine.world_size + self.engine.rank
            torch.manual_seed(
                hash_seed(self.recipe.seed, "dropout", self.stage.name, number, place)
            )
            with self._sync_only(index == last):
                self._backward(batch.to(self.engine.device), total)
        clip = self.recipe.training.max_grad_norm
        self.grad_norm = self.engine.accelerator.clip_grad_norm_(self.trained, clip)
        self.learning_rate = float(self.schedule.get_last_lr()[0])
        self.optimizer.step()
        self.schedule.step()
        self.optimizer.zero_grad()
        self._count(loaded)

    def _global_tokens(self, batches: Sequence[Batch]) -> Tensor:
        total = weighted_tokens(batches).to(self.engine.device)
        if self.engine.world_size > 1:
            total = self.engine.accelerator.reduce(total, "sum")
        return total.clamp(min=1e-6)

    def _sync_only(self, last: bool) -> contextlib.AbstractContextManager[Any]:
        return contextlib.nullcontext() if last else self.engine.accelerator.no_sync(self.model)

    def _backward(self, batch: Batch, total: Tensor) -> None:
        with self.engine.autocast():
            losses = example_losses(self.model, batch, self.stage.objective)
        # DDP averages gradients over processes; the loss is a share of a sum over all of them.
        loss = (losses.nll * batch.loss_weights).sum() / total * self.engine.world_size
        self.engine.accelerator.backward(loss)
        self.window.sums.add(batch.tasks, batch.loss_weights, losses)

    def _count(self, loaded: LoadedStep) -> None:
        self.window.steps += 1
        self.window.efficiency += loaded.padding_efficiency
        self.window.audio_seconds += sum(
            e.utterance.duration for batch in loaded.batches for e in batch.examples
        )

    def window_state(self) -> dict[str, Any]:
        """The window of all processes together, for the log or a checkpoint."""
        parts = self.engine.gather([self.window.state()])
        seconds = sum(part["audio_seconds"] for part in parts)
        return parts[0] | {
            "sums": merge_sums(part["sums"] for part in parts),
            "audio_seconds": seconds,
        }

    def numbers(self) -> dict[str, float]:
        """The window's numbers, over all processes; then a new window begins.

        Raises:
            DivergedError: If the loss or the gradient is no longer finite.
        """
        window, seconds = self.window_state(), time.perf_counter() - self.window.since
        numbers = loss_numbers(window["sums"]) | {
            "learning_rate": self.learning_rate,
            "grad_norm": float(self.grad_norm),
            "padding_efficiency": window["efficiency"] / window["steps"],
            "audio_seconds_per_second": window["audio_seconds"] / seconds,
            "steps_per_second": window["steps"] / seconds,
        }
        self.check_finite(numbers)
        self.window = Window()
        return numbers

    def check_finite(self, numbers: dict[str, float] | None = None) -> None:
        """Stops a run that has diverged before anything of it is saved."""
        norm, stage = float(self.grad_norm), self.stage
        loss = numbers["loss"] if numbers else 0.0
        if math.isfinite(norm) and math.isfinite(loss):
            return
        raise DivergedError(
            f"stage '{stage.name}': the loss ({loss:g}) or its gradient (norm {norm:g}) is not"
            f" finite, the run has diverged. Try a lower curriculum.{stage.name}.learning_rate (now"
            f" {stage.learning_rate:g}) or more warmup_steps; the last whole checkpoint is kept,"
            " and training.precision=fp32 rules out rounding"
        )
