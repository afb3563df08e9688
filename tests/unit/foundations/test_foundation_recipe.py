from __future__ import annotations

from pathlib import Path

import pytest

from speechverse.errors import RecipeError
from speechverse.foundations.recipe import EncoderRecipe, LmRecipe, load_recipe

RECIPES = Path(__file__).parents[3] / "recipes" / "foundations"


def test_the_shipped_recipes_load_and_share_one_tokenizer() -> None:
    encoder = load_recipe(RECIPES / "encoder-tiny.yaml", EncoderRecipe)
    lm = load_recipe(RECIPES / "lm-tiny.yaml", LmRecipe)
    assert encoder.tokenizer == lm.tokenizer
    assert encoder.data.seed != lm.data.seed


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("training: {steps: 1, learnig_rate: 1.0}", "learning_rate"),
        ("training: {steps: -1, learning_rate: 1.0}", "training.steps"),
        ("training: {steps: 1, learning_rate: 1.0}\nnonsense: 1", "nonsense"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(f"kind: lm\nname: x\n{line}\n")
    with pytest.raises(RecipeError, match=message):
        load_recipe(path, LmRecipe)


def test_the_other_kind_of_recipe_is_refused() -> None:
    with pytest.raises(RecipeError, match="kind"):
        load_recipe(RECIPES / "encoder-tiny.yaml", LmRecipe)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="cannot read"):
        load_recipe(tmp_path / "none.yaml", LmRecipe)
