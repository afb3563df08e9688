"""Training: the strict recipe, the curriculum, one trainer, checkpoints.

Names are looked up when first asked for: reading a recipe does not need what training needs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from speechverse.lazy import loader_of

if TYPE_CHECKING:
    from speechverse.training.recipe_files import load_recipe as load_recipe
    from speechverse.training.trainer import train as train

_HOMES = {"load_recipe": "recipe_files", "train": "trainer"}
__all__ = list(_HOMES)
__getattr__ = loader_of(__name__, _HOMES)
