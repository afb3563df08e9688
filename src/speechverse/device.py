"""Where a model computes, and how exactly."""

from __future__ import annotations

from typing import get_args

import torch

from speechverse.errors import UserError, unknown_name
from speechverse.types import Precision

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def dtype_of(precision: Precision) -> torch.dtype:
    """PyTorch's name of a precision.

    Raises:
        UserError: If there is none of that name.
    """
    if precision not in _DTYPES:
        raise UserError(unknown_name("precision", precision, get_args(Precision)))
    return _DTYPES[precision]


def pick_device(name: str | None) -> torch.device:
    """The device of that name, or the best there is.

    Raises:
        UserError: If this machine has no such device.
    """
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        known = ["cpu", *(f"cuda:{index}" for index in range(torch.cuda.device_count()))]
        raise UserError(
            f"no device '{name}' on this machine (there are: {', '.join(known)})"
        ) from error
    return torch.device(name)
