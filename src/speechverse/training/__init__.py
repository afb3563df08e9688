"""Training: the strict recipe, the curriculum, one trainer, checkpoints."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from speechverse.training.recipe import Recipe
    from speechverse.training.recipe_files import load_recipe
    from speechverse.training.trainer import train

__all__ = ["Recipe", "load_recipe", "train"]

_HOMES = {"Recipe": "recipe", "load_recipe": "recipe_files", "train": "trainer"}


def __getattr__(name: str) -> Any:
    """Loads what is asked for, so that reading a recipe does not need what training needs."""
    if name in _HOMES:
        return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
