"""Recipes as a user meets them: files, inheritance, overrides, and what they hear
about mistakes.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from speechverse.errors import CheckpointError, RecipeError
from speechverse.hub import resolve
from speechverse.registry import SYSTEMS
from speechverse.training.recipe_files import (
    differences,
    load_recipe,
    recipe_schema,
    recipes_folder,
    write_recipe,
)

BUILT_IN = (
    *("small", "small-gpu", "small-world", "small-reader", "world-reader", "laptop", "modern"),
    *("paper-wlm", "paper-brq", "people-gpu", "digits", "orders", "classes", "best-rq", "ctc"),
)


@pytest.mark.parametrize("name", BUILT_IN)
def test_built_in_recipes_are_valid(name: str):
    assert load_recipe(name).name == name


def test_the_schema_beside_the_recipes_is_the_code_s():
    import json

    stored = json.loads((recipes_folder() / "recipe.schema.json").read_text())
    assert stored == recipe_schema(), "run: speechverse train --schema > recipes/recipe.schema.json"


@pytest.mark.parametrize(
    ("override", "said"),
    [
        (
            "curriculum.align.learnig_rate=1e-3",
            "curriculum.align.learnig_rate: unknown key; did you mean 'learning_rate'?",
        ),
        ("curriculum.align.top_layers=2", "curriculum.align.top_layers: says how much"),
        ("data.validation.by=speaker", "data.validation.by: says what a share keeps together"),
        ("base=laptop", "override 'base': what a recipe inherits from stands in its file"),
        ("model.lora.rnk=8", "model.lora.rnk: unknown key; did you mean 'rank'?"),
        ("trainig.precision=fp32", "trainig: unknown key; did you mean 'training'?"),
        (
            "training.learning_rate=1",
            "training.learning_rate: unknown key; did you mean 'curriculum.*.learning_rate'?",
        ),
        ("data.corpora.world.pth=x", "data.corpora.world.pth: unknown key; did you mean 'path'?"),
        (
            "data.mixtures.all.0.losweight=2",
            "data.mixtures.all.0.losweight: unknown key; did you mean 'loss_weight'?",
        ),
        ("curriculum.allign.steps=3", "unknown entry 'allign'; did you mean 'align'?"),
        (
            "curriculum.align.steps=many",
            "curriculum.align.steps: input should be a valid integer, got 'many'",
        ),
        (
            "curriculum.align.mixture=heart",
            "curriculum.align.mixture: unknown mixture 'heart'; did you mean 'heard'?",
        ),
        (
            "data.mixtures.all.0.corpus=word",
            "data.mixtures.all.0.corpus: unknown corpus 'word'; did you mean 'world'?",
        ),
        ("training.precision=fp16", "training.precision: fp16 overflows in T5"),
        ("model.lora=null", "curriculum.instruct.train: trains 'lora', but model.lora is null"),
        ("initial=small", "model, initial, encoder: give exactly one"),
        ("lora.rank=8", "the LoRA of a new model is described in model.lora"),
        ("lora.rnk=8", "lora.rnk: unknown key; did you mean 'rank'?"),
        (
            "curriculum.instruct.steps=19",
            "curriculum.instruct.warmup_steps: 20 is longer than the whole stage of 19 steps",
        ),
        (
            "curriculum.align.train=[encoder]",
            "curriculum.align.train: a trained encoder cannot be cached",
        ),
        ("data.validation={share: 0.1}", "set data.validation.every to a number of steps"),
        (
            "evaluation={corpus: world, systems: [speechverse, cascad]}",
            "evaluation.systems.1: unknown system 'cascad'; did you mean 'cascade'?",
        ),
        (
            "evaluation={corpus: world, systems: []}",
            "evaluation.systems: list should have at least 1 item",
        ),
        (
            "evaluation={corpus: world, tasks: []}",
            "evaluation.tasks: list should have at least 1 item",
        ),
        ("seed", "write it as key=value"),
    ],
)
def test_a_mistake_is_named_with_its_place_and_its_remedy(override: str, said: str):
    with pytest.raises(RecipeError) as error:
        load_recipe("small", [override])
    assert said in str(error.value)


def test_a_stage_with_nothing_to_learn_is_refused():
    load_recipe("small", ["curriculum.align.train=[mixer]"])
    with pytest.raises(
        RecipeError, match=r"curriculum\.align\.train: only 'mixer', which has nothing to learn"
    ):
        load_recipe("small", ["curriculum.align.train=[mixer]", "model.layer_mixing=last"])


def test_a_stage_may_warm_up_to_its_end():
    stage = load_recipe(
        "small", ["curriculum.align.steps=50", "curriculum.align.warmup_steps=50"]
    ).curriculum[0]
    assert stage.warmup_steps == stage.steps


def test_lora_of_a_checkpoint_is_not_looked_for_under_model():
    with pytest.raises(
        RecipeError, match="LoRA of one that has none yet is described in the key 'lora'"
    ):
        load_recipe("digits", ["model.lora.rank=8"])


def test_patience_needs_validation():
    with pytest.raises(RecipeError, match="set data.validation.every"):
        load_recipe("digits", ["curriculum.adapt.patience=2"])


def test_every_system_that_a_recipe_may_name_is_there_under_its_name():
    assert [kind.name for kind in SYSTEMS.values()] == list(SYSTEMS)


def test_an_unknown_recipe_names_the_nearest():
    with pytest.raises(RecipeError, match="did you mean 'small'"):
        load_recipe("smal")


def test_an_encoder_is_asked_nothing_that_could_be_worded():
    with pytest.raises(RecipeError, match="data.renamed: is about instructions"):
        load_recipe("best-rq", ["data.renamed=0.1"])


def test_overrides_are_yaml_and_go_by_dotted_path():
    recipe = load_recipe(
        "small",
        ["curriculum.align.steps=70", "curriculum.1.learning_rate=1e-4", "model.lora.targets=[q]"],
    )
    assert recipe.curriculum[0].steps == 70
    assert recipe.curriculum[1].learning_rate == 1e-4
    assert (
        recipe.model is not None
        and recipe.model.lora is not None
        and recipe.model.lora.targets == ["q"]
    )


def test_a_heir_states_only_what_differs(tmp_path: Path):
    (tmp_path / "mine.yaml").write_text(
        "base: small\nname: mine\nmodel: {layer_mixing: paper}\ntraining: {log_every: 3}\n"
    )
    (tmp_path / "heir.yaml").write_text("base: mine.yaml\nname: heir\nseed: 5\n")
    heir, base = load_recipe(tmp_path / "heir.yaml"), load_recipe("small")
    assert differences(base, heir) == ["model.layer_mixing", "name", "seed", "training.log_every"]


def test_inheriting_in_a_circle_is_refused(tmp_path: Path):
    for one, other in (("a", "b"), ("b", "a")):
        (tmp_path / f"{one}.yaml").write_text(f"base: {other}.yaml\nname: {one}\n")
    with pytest.raises(RecipeError, match="inherits from itself"):
        load_recipe(tmp_path / "a.yaml")


@pytest.mark.parametrize("text", ["a: [", "- list", "", "a: 1\n\x00"])
def test_a_file_that_is_no_recipe_is_refused(tmp_path: Path, text: str):
    (tmp_path / "bad.yaml").write_text(text)
    with pytest.raises(RecipeError, match=r"bad\.yaml"):
        load_recipe(tmp_path / "bad.yaml")


@pytest.mark.parametrize("name", ["paper-brq", "digits", "orders", "classes"])
def test_the_resolved_recipe_is_the_same_recipe(tmp_path: Path, name: str):
    recipe = load_recipe(name, ["seed=3"])
    write_recipe(recipe, tmp_path)
    assert differences(load_recipe(tmp_path / "recipe.yaml"), recipe) == []
    assert yaml.safe_load((tmp_path / "environment.json").read_text())["versions"]["torch"]


def test_the_paper_s_settings_are_the_paper_s():
    for name, rate, warmup, batch, mixing in (
        ("wlm", 1e-3, 100, 768, "last"),
        ("brq", 5e-3, 50_000, 2048, "paper"),
    ):
        recipe = load_recipe(f"paper-{name}")
        assert all(
            (stage.learning_rate, stage.warmup_steps) == (rate, warmup)
            for stage in recipe.curriculum
        )
        assert recipe.data.batch.max_examples * recipe.data.batch.micro_batches == batch
        assert recipe.model is not None and recipe.model.lora is not None
        assert (recipe.model.layer_mixing, recipe.model.lora.rank, recipe.model.lora.targets) == (
            mixing,
            16,
            ["q", "v"],
        )


def test_the_encoder_that_was_never_published_is_asked_for_as_a_folder_of_one_s_own():
    model = load_recipe("paper-brq").model
    assert model is not None
    with pytest.raises(CheckpointError, match=r"there is no folder '\./best-rq-conformer'"):
        resolve(model.encoder)
