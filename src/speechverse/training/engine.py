"""What a run computes on: processes and device (accelerate), and the precision."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import Any

import torch
from accelerate import Accelerator, DistributedDataParallelKwargs, InitProcessGroupKwargs
from accelerate.utils import gather_object
from transformers import PreTrainedModel

from speechverse.errors import RecipeError
from speechverse.training.recipe import Recipe

_PATIENCE = timedelta(hours=12)  # others wait while the first hears what is cached
_BF16_UNITS = ("avx512_bf16", "amx_bf16", "bf16", "sve_bf16")


@dataclass(frozen=True)
class Engine:
    """Accelerate's engine with the run's precision."""

    accelerator: Accelerator
    precision: str

    @classmethod
    def make(cls, recipe: Recipe) -> Engine:
        """The engine for a recipe, on the processes that `accelerate launch` started.

        Raises:
            RecipeError: If the precision or so many micro-batches are not to be had.
        """
        # Autocast is our own, for accelerate's copies every output to fp32.
        encoder_trains = any("encoder" in stage.train for stage in recipe.curriculum)
        ddp = DistributedDataParallelKwargs(find_unused_parameters=encoder_trains)
        group = InitProcessGroupKwargs(timeout=_PATIENCE)
        accelerator = Accelerator(mixed_precision="no", kwargs_handlers=[ddp, group])
        batches, processes = recipe.data.batch.micro_batches, accelerator.num_processes
        if batches % processes:
            raise RecipeError(
                f"data.batch.micro_batches: {batches} cannot be dealt evenly to {processes}"
                f" processes; use a multiple of {processes}"
            )
        return cls(accelerator, resolve_precision(recipe.training.precision, accelerator.device))

    @cached_property
    def device(self) -> torch.device:
        return self.accelerator.device

    @property
    def main(self) -> bool:
        return self.accelerator.is_main_process

    @property
    def rank(self) -> int:
        return self.accelerator.process_index

    @property
    def world_size(self) -> int:
        return self.accelerator.num_processes

    @property
    def dtype(self) -> torch.dtype:
        """Type of the frozen parts."""
        return torch.bfloat16 if self.precision == "bf16" else torch.float32

    def autocast(self) -> contextlib.AbstractContextManager[Any]:
        """The context of every forward pass."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16")

    def gather(self, items: list[Any]) -> list[Any]:
        """The items of all processes, on each of them."""
        return gather_object(items) if self.world_size > 1 else items

    def wait(self) -> None:
        """Until all processes are here."""
        self.accelerator.wait_for_everyone()


def resolve_precision(wanted: str, device: torch.device) -> str:
    """Either "bf16" or "fp32"; "auto" is bf16 where the device has units for it.

    Raises:
        RecipeError: If bf16 is wanted of a device without units for it (some 27 times slower).
    """
    has_bf16 = _has_bf16(device)
    if wanted == "auto":
        return "bf16" if has_bf16 else "fp32"
    if wanted == "bf16" and not has_bf16:
        raise RecipeError(
            f"training.precision: this {device.type} has no bf16 units; use fp32 or auto"
        )
    return wanted


def plain_attention_where_faster(
    llm: PreTrainedModel, device: torch.device, precision: str
) -> None:
    """Avoids fused attention on a CPU in bf16, whose gradient is 5 times slower."""
    if device.type == "cpu" and precision == "bf16":
        llm.set_attn_implementation("eager")


def _has_bf16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "cpu":
        return any(torch.cpu.get_capabilities().get(unit, False) for unit in _BF16_UNITS)
    return device.type == "xpu"
