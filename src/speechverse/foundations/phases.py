"""One training loop for every foundation phase: resumable to the step, each draw a hash of seed, phase and step."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedTokenizerFast

from speechverse.errors import CheckpointError, SpeechverseError, UserError
from speechverse.files import recover
from speechverse.foundations.crew import ALONE, Crew
from speechverse.foundations.recipe import EncoderRecipe, PhaseSettings
from speechverse.seeding import hash_seed
from speechverse.training.logs import Progress, RunLog
from speechverse.training.optim import make_optimizer, make_schedule
from speechverse.training.state import interruptible, load_state, save_state

Numbers = dict[str, float]


def made_of(
    recipe: EncoderRecipe, tokenizer: PreTrainedTokenizerFast | None, audio: str, later: Iterable[str] = ()
) -> dict[str, Any]:
    """What a phase's weights follow from: key of the recipe → value, and digests of the pieces and the audio.

    Args:
        recipe: All of it counts, but for its name and what changes no weight.
        tokenizer: Of a CTC head, if there is one.
        audio: Tells the audio from any other; where that lies does not matter.
        later: Parts that only later phases read.
    """
    values = recipe.model_dump(mode="json", exclude={"name", *later})
    for name in ("workers", "audio", "corpus"):
        values["data"].pop(name, None)
    # A state of a run that says nothing of it, such as one of an older version, goes on.
    values["compute"] = recipe.compute.model_dump(mode="json", exclude_defaults=True, exclude={"device"})
    digests = {"the audio": audio}
    if tokenizer is not None:
        pieces = hashlib.sha256(tokenizer.backend_tokenizer.to_str().encode()).hexdigest()
        digests["the tokenizer's pieces"] = pieces[:16]
    return {**_flat(values), **digests}


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return flat


class Rates:
    """A phase's optimiser with its schedule (cosine)."""

    def __init__(self, module: nn.Module, settings: PhaseSettings) -> None:
        self.optimizer = make_optimizer(module.parameters(), settings.learning_rate, settings.weight_decay)
        self.schedule = make_schedule(self.optimizer, "cosine", settings.warmup_steps, settings.steps)

    @property
    def rate(self) -> float:
        return float(self.schedule.get_last_lr()[0])

    def step(self) -> None:
        """Moves the weights, and forgets the gradients."""
        self.optimizer.step()
        self.schedule.step()
        self.optimizer.zero_grad(set_to_none=True)

    def state(self) -> dict[str, Any]:
        return {"optimizer": self.optimizer.state_dict(), "schedule": self.schedule.state_dict()}

    def load(self, objects: Mapping[str, Any]) -> None:
        """Goes on from a saved state."""
        self.optimizer.load_state_dict(objects["optimizer"])
        self.schedule.load_state_dict(objects["schedule"])


@dataclass
class Phase:
    """Something to train for a number of steps.

    Attributes:
        name: Also the name of its state folder.
        module: What is trained and saved.
        loss: Step index → the loss to go down, and numbers to log; draws only from the step's index.
        settings: Steps, rates and how often to log, look and save.
        seed: Seeds dropout, step by step.
        made_of: All that the weights follow from (see `made_of`); a state made of anything else is refused.
        evaluate: Numbers on held-out material, looked at every `evaluate_every` steps and at the end.
        crew: Who trains together: each computes `loss` on its share of the batch.
    """

    name: str
    module: nn.Module
    loss: Callable[[int], tuple[Tensor, Numbers]]
    settings: PhaseSettings
    seed: int
    made_of: dict[str, Any]
    evaluate: Callable[[], Numbers]
    crew: Crew = ALONE
    history: list[Numbers] = field(default_factory=list)

    def run(self, folder: Path) -> list[Numbers]:
        """Trains, or goes on from the state in `folder/<name>`; a finished phase is only loaded.

        Returns:
            The looks at held-out material, in their order.

        Raises:
            KeyboardInterrupt: If it was asked to stop; it has then saved and said how to go on.
            UserError: If the state was begun with another recipe.
            CheckpointError: If the state's weights are not this module's.
        """
        state_folder = folder / self.name
        rates = Rates(self.module, self.settings)
        done = self._restore(state_folder, rates)
        if done >= self.settings.steps:
            return self.history
        with (
            self._log(folder, done) as log,
            Progress(self.name, self.settings.steps, done, quiet=not self.crew.leads) as progress,
            interruptible() as stop,
        ):
            for step in range(done, self.settings.steps):
                # Read once: a stop that comes later must not leave without a state.
                stopping = self._train_step(step, rates, log, progress, stop)
                last = step + 1 == self.settings.steps
                if log and (last or (step + 1) % self.settings.evaluate_every == 0):
                    self._look(step + 1, log, progress)
                if self.crew.leads and (last or stopping or (step + 1) % self.settings.save_every == 0):
                    self._save(state_folder, step + 1, rates)
                if stopping:
                    progress.say(
                        f"stopped in phase '{self.name}' after step {step + 1} of {self.settings.steps}, which is "
                        "saved; the same command goes on from there"
                    )
                    raise KeyboardInterrupt
        return self.history

    def _log(self, folder: Path, done: int) -> AbstractContextManager[RunLog | None]:
        if not self.crew.leads:
            return nullcontext()
        return RunLog(folder / "logs" / self.name, resumed_at=done or None)

    def _train_step(self, step: int, rates: Rates, log: RunLog | None, progress: Progress, stop: Any) -> bool:
        """One step; returns whether anyone was asked to stop."""
        began = time.perf_counter()
        torch.manual_seed(hash_seed(self.seed, self.name, step, self.crew.rank) % 2**63)
        self.module.train()
        loss, numbers = self.loss(step)
        loss.backward()
        stopping = self.crew.average(self.module.parameters(), stop.requested)
        norm = torch.nn.utils.clip_grad_norm_(self.module.parameters(), self.settings.max_grad_norm)
        self._refuse_divergence(step, float(loss.detach()), float(norm))
        rates.step()
        numbers = {"loss": float(loss.detach()), "grad_norm": float(norm), **numbers}
        progress.advance(1, **numbers)
        if log and (step + 1) % self.settings.log_every == 0:
            log.scalars(step + 1, {**numbers, "seconds": time.perf_counter() - began, "rate": rates.rate})
        return stopping

    def _refuse_divergence(self, step: int, loss: float, norm: float) -> None:
        """Before anything of it gets into the weights, and so into the state."""
        if math.isfinite(norm):  # the same for all who train together, as it is of their mean gradient
            return
        raise SpeechverseError(
            f"phase '{self.name}', step {step + 1}: the gradient's norm is {norm:g} (loss {loss:g}), the run has "
            "diverged; the last saved state is kept. Begin again in another --output with a lower learning_rate (now "
            f"{self.settings.learning_rate:g}) or more warmup_steps; compute.precision fp32 rules out rounding"
        )

    def _look(self, step: int, log: RunLog, progress: Progress) -> None:
        self.module.eval()
        with torch.inference_mode():
            numbers = self.evaluate()
        self.history.append({"step": step, **numbers})
        log.scalars(step, numbers, on="held-out")
        progress.say(f"{self.name} {step}: " + "  ".join(f"{name} {value:.3f}" for name, value in numbers.items()))

    def _save(self, folder: Path, step: int, rates: Rates) -> None:
        save_state(
            folder,
            info={"phase": self.name, "step": step, "made_of": self.made_of, "history": self.history},
            tensors={"model": self._tensors()},
            objects=rates.state(),
        )

    def _tensors(self) -> dict[str, Tensor]:
        """Parameters and buffers, each storage once (tied embeddings share theirs)."""
        by_storage = {tensor.data_ptr(): (name, tensor) for name, tensor in self.module.state_dict().items()}
        return {name: tensor.clone() for name, tensor in by_storage.values()}

    def _restore(self, folder: Path, rates: Rates) -> int:
        if self.crew.leads:
            recover(folder)
        self.crew.wait()
        if not folder.exists():
            return 0
        state = load_state(folder)
        self._refuse_another_recipe(folder, state.info.get("made_of", {}))
        self._load(folder, state.tensors["model"])
        self.history = list(state.info["history"])
        done = int(state.info["step"])
        if done < self.settings.steps:
            rates.load(state.objects)
        return done

    def _refuse_another_recipe(self, folder: Path, then: dict[str, Any]) -> None:
        now = self.made_of
        other = [key for key in sorted(then.keys() | now.keys()) if then.get(key) != now.get(key)]
        if not other:
            return
        named = "; ".join(
            f"{key} {then.get(key, 'not told')} there, {now.get(key, 'not told')} now" for key in other[:4]
        )
        more = f"; and {len(other) - 4} more" if len(other) > 4 else ""
        raise UserError(
            f"'{folder}' was begun with another recipe ({named}{more}); give the recipe it was begun with, "
            "take another --output, or delete that folder to begin the phase again"
        )

    def _load(self, folder: Path, tensors: dict[str, Tensor]) -> None:
        """Takes weights back, all of them: only names whose storage another name saved may be missing."""
        tied = self.module.state_dict().keys() - self._tensors().keys()
        try:
            missing, unexpected = self.module.load_state_dict(tensors, strict=False)
        except RuntimeError as error:  # torch's word for other shapes
            raise CheckpointError(f"'{folder}' holds weights of another shape; delete it to begin again") from error
        if wrong := (set(missing) - tied) | set(unexpected):
            raise CheckpointError(
                f"'{folder}' does not hold this phase's weights: {len(wrong)} names are missing or unknown, such as "
                f"'{min(wrong)}'; delete it to begin again"
            )
