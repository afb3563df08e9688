"""One training loop for every foundation phase: resumable to the step, each draw a hash of seed, phase and step."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from speechverse.errors import UserError
from speechverse.foundations.recipe import PhaseSettings
from speechverse.seeding import hash_seed
from speechverse.training.logs import Progress, RunLog
from speechverse.training.optim import make_optimizer, make_schedule
from speechverse.training.state import interruptible, load_state, save_state

Numbers = dict[str, float]


@dataclass
class Phase:
    """Something to train for a number of steps.

    Attributes:
        name: Also the name of its state folder.
        module: What is trained and saved.
        loss: Step index → the loss to go down, and numbers to log; draws only from the step's index.
        settings: Steps, rates and how often to log, look and save.
        seed: Seeds dropout, step by step.
        evaluate: Numbers on held-out material, looked at every `evaluate_every` steps and at the end.
        groups: Parameters with their own rates; the module's parameters where None.
    """

    name: str
    module: nn.Module
    loss: Callable[[int], tuple[Tensor, Numbers]]
    settings: PhaseSettings
    seed: int
    evaluate: Callable[[], Numbers] | None = None
    groups: Iterable[dict[str, Any]] | None = None
    history: list[Numbers] = field(default_factory=list)

    def run(self, folder: Path) -> None:
        """Trains, or goes on from the state in `folder/<name>`; a finished phase is only loaded.

        Raises:
            UserError: If asked to stop (Ctrl-C); the state is saved first.
        """
        state_folder = folder / self.name
        optimizer = make_optimizer(
            self.groups or self.module.parameters(), self.settings.learning_rate, self.settings.weight_decay
        )
        schedule = make_schedule(optimizer, "cosine", self.settings.warmup_steps, self.settings.steps)
        done = self._restore(state_folder, optimizer, schedule)
        if done >= self.settings.steps:
            return
        with (
            RunLog(folder / "logs" / self.name, resumed_at=done or None) as log,
            Progress(self.name, self.settings.steps, done) as progress,
            interruptible() as stop,
        ):
            for step in range(done, self.settings.steps):
                self._train_step(step, optimizer, schedule, log, progress)
                last = step + 1 == self.settings.steps
                if self.evaluate and (last or (step + 1) % self.settings.evaluate_every == 0):
                    self._look(step + 1, log, progress)
                if last or stop.requested or (step + 1) % self.settings.save_every == 0:
                    self._save(state_folder, step + 1, optimizer, schedule)
                if stop.requested and not last:
                    raise UserError(f"stopped in phase '{self.name}' at step {step + 1}; the same command goes on")

    def _train_step(self, step: int, optimizer: Any, schedule: Any, log: RunLog, progress: Progress) -> None:
        began = time.perf_counter()
        torch.manual_seed(hash_seed(self.seed, self.name, step) % 2**63)
        self.module.train()
        loss, numbers = self.loss(step)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.module.parameters(), self.settings.max_grad_norm)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad(set_to_none=True)
        numbers = {"loss": float(loss.detach()), "grad_norm": float(norm), **numbers}
        progress.advance(1, **numbers)
        if (step + 1) % self.settings.log_every == 0:
            log.scalars(
                step + 1, {**numbers, "seconds": time.perf_counter() - began, "rate": schedule.get_last_lr()[0]}
            )

    def _look(self, step: int, log: RunLog, progress: Progress) -> None:
        assert self.evaluate is not None
        self.module.eval()
        with torch.inference_mode():
            numbers = self.evaluate()
        self.history.append({"step": step, **numbers})
        log.scalars(step, numbers, on="held-out")
        progress.say(f"{self.name} {step}: " + "  ".join(f"{name} {value:.3f}" for name, value in numbers.items()))

    def _save(self, folder: Path, step: int, optimizer: Any, schedule: Any) -> None:
        save_state(
            folder,
            info={"phase": self.name, "step": step, "settings": self.settings.model_dump(), "history": self.history},
            tensors={"model": self._tensors()},
            objects={"optimizer": optimizer.state_dict(), "schedule": schedule.state_dict()},
        )

    def _tensors(self) -> dict[str, Tensor]:
        """Parameters and buffers, each storage once (tied embeddings share theirs)."""
        by_storage = {tensor.data_ptr(): (name, tensor) for name, tensor in self.module.state_dict().items()}
        return {name: tensor.clone() for name, tensor in by_storage.values()}

    def _restore(self, folder: Path, optimizer: Any, schedule: Any) -> int:
        if not folder.exists():
            return 0
        state = load_state(folder)
        if state.info["settings"] != self.settings.model_dump():
            raise UserError(
                f"'{folder}' was begun with other settings for phase '{self.name}'; "
                "take another --output, or delete that folder to begin the phase again"
            )
        self.module.load_state_dict(state.tensors["model"], strict=False)
        self.history = list(state.info["history"])
        done = int(state.info["step"])
        if done < self.settings.steps:
            optimizer.load_state_dict(state.objects["optimizer"])
            schedule.load_state_dict(state.objects["schedule"])
        return done
