"""Where a foundation is trained, and in which precision: the same code on a CPU and on one GPU.

Draws of batches, augmentation and masked spans are made on the CPU from the step's own seed, so they are the same on
any device; only the noise over masked frames and dropout are drawn where they are used.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from speechverse.foundations.recipe import ComputeSettings
from speechverse.pipeline import pick_device
from speechverse.training.engine import resolve_precision

_SHARE_FOR_FEATURES = 0.4
"""Of the device's free memory, what features may take; the rest is for the model and its activations."""


@dataclass(frozen=True)
class Compute:
    """What a run computes on.

    Attributes:
        device: Holds the model, and the features where they fit.
        bf16: Whether forward passes run under autocast; weights and optimiser stay in fp32.
        round_frames: Padded lengths are rounded up to a multiple of so many stacked frames: few shapes, so that the
            GPU's memory is reused and its kernels are chosen once.
    """

    device: torch.device = torch.device("cpu")
    bf16: bool = False
    round_frames: int = 1

    @classmethod
    def of(cls, settings: ComputeSettings) -> Compute:
        """What the recipe asks for, as this machine has it.

        Raises:
            UserError: If there is no such device.
            RecipeError: If it has no units for the precision.
        """
        device = pick_device(None if settings.device == "auto" else settings.device)
        precision = resolve_precision(settings.precision, device, "compute.precision")
        return cls(device, precision == "bf16", settings.round_frames)

    def autocast(self) -> contextlib.AbstractContextManager[Any]:
        """The context of a forward pass in training."""
        return torch.autocast(self.device.type, torch.bfloat16) if self.bf16 else contextlib.nullcontext()

    def padded(self, features: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Features (B, T, F) and their mask (B, T) with T rounded up."""
        missing = -mask.shape[1] % self.round_frames
        if not missing:
            return features, mask
        return functional.pad(features, (0, 0, 0, missing)), functional.pad(mask, (0, missing))

    def has_room_for(self, num_bytes: int) -> bool:
        """Whether features of that size should lie on the device; on the CPU the mapped file does as well."""
        if self.device.type != "cuda":
            return False
        free, _ = torch.cuda.mem_get_info(self.device)
        return num_bytes <= _SHARE_FOR_FEATURES * free


ON_CPU = Compute()
