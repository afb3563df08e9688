"""Going on from a checkpoint: whose LoRA settings hold."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from microscopic import bart
from speechverse.errors import RecipeError
from speechverse.models import SpeechVerseForConditionalGeneration, lora
from speechverse.models.lora import LoraConfig
from speechverse.training.build import build_model, make_trainable
from speechverse.training.recipe import Recipe
from speechverse.training.trainer import train

MakeRecipe = Callable[..., Recipe]
ADAPT = {
    "name": "adapt", "mixture": "asr", "train": ["mixer", "downsampler", "lora"], "steps": 2, "learning_rate": 1e-2,
}  # fmt: skip


@pytest.fixture
def aligned(recipe: MakeRecipe, tmp_path: Path) -> Path:
    """A checkpoint as `align` leaves it: without LoRA."""
    build_model(recipe()).save_pretrained(tmp_path / "aligned")
    return tmp_path / "aligned"


@pytest.fixture
def adapted(recipe: MakeRecipe, tmp_path: Path) -> Path:
    """A checkpoint with LoRA of rank 2."""
    made = recipe()
    model = build_model(made)
    make_trainable(model, ["lora"], made)
    model.save_pretrained(tmp_path / "adapted")
    return tmp_path / "adapted"


def going_on(recipe: MakeRecipe, initial: Path, **lora: object) -> Recipe:
    data = {"cache": "none", "validation": {}}
    return recipe(
        data=data, model=None, initial=str(initial), lora=lora or None, curriculum=[ADAPT]
    )


def test_a_checkpoint_without_lora_gets_the_recipe_s(
    recipe: MakeRecipe, aligned: Path, tmp_path: Path
):
    wanted = {"rank": 3, "alpha": 5, "dropout": 0.1, "targets": ["k_proj"]}
    train(going_on(recipe, aligned, **wanted), tmp_path / "run")
    model = SpeechVerseForConditionalGeneration.from_pretrained(tmp_path / "run")
    assert model.config.lora == LoraConfig(**wanted)
    assert {p.shape[0] for name, p in model.named_parameters() if "lora_A" in name} == {3}
    assert all("k_proj" in name for name, _ in model.named_parameters() if "lora_A" in name)


def test_a_checkpoint_knows_when_it_is_asked_otherwise_than_it_was_taught(
    recipe: MakeRecipe, aligned: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    train(going_on(recipe, aligned, rank=2), tmp_path / "run")
    model = SpeechVerseForConditionalGeneration.from_pretrained(tmp_path / "run")
    assert model.config.prompt_fingerprint == model.processor().prompt_fingerprint
    assert "asked otherwise" not in caplog.text
    file = tmp_path / "run" / "config.json"
    told = json.loads(file.read_text())
    file.write_text(json.dumps({**told, "prompt_fingerprint": "of another template"}))
    SpeechVerseForConditionalGeneration.from_pretrained(tmp_path / "run").processor()
    assert "asked otherwise than it was taught" in caplog.text


def test_an_llm_whose_layers_nobody_knows_wants_them_named() -> None:
    with pytest.raises(RecipeError, match=r"no LoRA targets are known for m2m_100: .*'q_proj'"):
        lora.add(bart(64, "M2M100"), LoraConfig(rank=2))


def test_a_checkpoint_without_lora_wants_to_be_told_of_it(
    recipe: MakeRecipe, aligned: Path, tmp_path: Path
):
    with pytest.raises(
        RecipeError, match=r"curriculum\.adapt\.train: trains 'lora'.*has none.*lora={rank: 16}"
    ):
        train(going_on(recipe, aligned), tmp_path / "run")
    with pytest.raises(RecipeError, match="do not fit this LLM"):
        train(going_on(recipe, aligned, targets=["nothing"]), tmp_path / "other")


def test_a_checkpoint_s_own_lora_goes_on_and_no_other_is_taken(recipe: MakeRecipe, adapted: Path):
    own = {"rank": 2, "alpha": 4, "dropout": 0.2, "targets": None}
    for said in ({}, own):
        assert build_model(going_on(recipe, adapted, **said)).config.lora == LoraConfig(**own)
    with pytest.raises(
        RecipeError, match=r"has LoRA already.*rank 2 there, 3 here; alpha 4 there, 32 here"
    ):
        build_model(going_on(recipe, adapted, rank=3, dropout=0.2))
