"""Whether the parts of a recipe fit each other, which no type of a single one can say."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from speechverse.errors import RecipeError, UserError, unknown_name
from speechverse.registry import SYSTEMS
from speechverse.training.recipe import Recipe, StageSection

ONE_START = (
    "model, initial, encoder: give exactly one (set the others to null): a new model, a checkpoint,"
    " which brings its own encoder, LLM and settings (the LoRA of one that has none yet is"
    " described in the key 'lora'), or a new encoder to pre-train"
)


def check_recipe(recipe: Recipe) -> None:
    """Refuses a recipe whose parts do not fit.

    Raises:
        RecipeError: Naming the place and what is allowed there.
    """
    if sum(start is not None for start in (recipe.model, recipe.initial, recipe.encoder)) != 1:
        raise RecipeError(ONE_START)
    if recipe.model is not None and recipe.lora is not None:
        raise RecipeError(
            "lora: goes with 'initial'; the LoRA of a new model is described in model.lora"
        )
    names = [stage.name for stage in recipe.curriculum]
    if len(set(names)) < len(names):
        raise RecipeError(f"curriculum: stage names must differ, got {', '.join(names)}")
    _check_data(recipe)
    for stage in recipe.curriculum:
        _check_stage(recipe, stage)
        _check_objective(recipe, stage)
        _check_trained_parts(recipe, stage)
    _check_evaluation(recipe)


def _check_data(recipe: Recipe) -> None:
    data = recipe.data
    for name, items in data.mixtures.items():
        for number, item in enumerate(items):
            _check_known(
                f"data.mixtures.{name}.{number}.corpus", "corpus", item.corpus, data.corpora
            )
    if data.validation.share is not None and data.validation.every is None:
        raise RecipeError(
            "data.validation.share: takes clips out of training that nothing would be validated"
            " on; set data.validation.every to a number of steps, or data.validation.share to null"
        )
    if data.validation.share is None and data.validation.by != "utterance":
        raise RecipeError(
            "data.validation.by: says what a share keeps together; give data.validation.share"
        )
    asking = [name for name in ("renamed", "hinted", "turns") if getattr(data, name)]
    if recipe.encoder is not None and asking:
        raise RecipeError(
            f"data.{asking[0]}: is about instructions, and an encoder is given none; leave it out"
        )


def _check_stage(recipe: Recipe, stage: StageSection) -> None:
    where, mixtures = f"curriculum.{stage.name}", recipe.data.mixtures
    _check_known(f"{where}.mixture", "mixture", stage.mixture, mixtures)
    if not mixtures[stage.mixture]:
        raise RecipeError(
            f"data.mixtures.{stage.mixture}: is empty; list at least one corpus and task"
        )
    if stage.warmup_steps > stage.steps:
        raise RecipeError(
            f"{where}.warmup_steps: {stage.warmup_steps} is longer than the whole stage of"
            f" {stage.steps} steps, which would end before it reached its learning rate; set it"
            f" to at most {stage.steps}, or {where}.steps to more"
        )
    if stage.patience and recipe.data.validation.every is None:
        raise RecipeError(f"{where}.patience: needs validation; set data.validation.every")


def _check_objective(recipe: Recipe, stage: StageSection) -> None:
    where = f"curriculum.{stage.name}"
    fitting = ("answer", "ctc") if recipe.encoder is None else ("ctc", "best_rq")
    if stage.objective not in fitting:
        what = "an encoder that is pre-trained" if recipe.encoder else "a model with an LLM"
        raise RecipeError(
            f"{where}.objective: '{stage.objective}' is none of {what}; use {' or '.join(fitting)}"
        )
    for number, item in enumerate(recipe.data.mixtures[stage.mixture]):
        if (item.task is None) != (stage.objective == "best_rq"):
            raise RecipeError(
                f"data.mixtures.{stage.mixture}.{number}.task: the objective best_rq asks nothing"
                f" and takes no task, every other one needs one; stage '{stage.name}' has the"
                f" objective {stage.objective}"
            )


def _check_trained_parts(recipe: Recipe, stage: StageSection) -> None:
    where, model = f"curriculum.{stage.name}", recipe.model
    if recipe.encoder is not None and (stage.train != ["encoder"] or stage.reads != "audio"):
        raise RecipeError(
            f"{where}: an encoder that is pre-trained hears, and all of it learns: train: [encoder]"
        )
    if stage.top_layers and (recipe.encoder is not None or "encoder" not in stage.train):
        raise RecipeError(
            f"{where}.top_layers: says how much of a model's encoder is trained along, and this"
            " stage trains none; add 'encoder' to train, or leave it out"
        )
    if stage.objective == "ctc" and "lora" in stage.train:
        raise RecipeError(
            f"{where}.train: 'lora' learns nothing while objective is 'ctc'; the LLM is not run"
        )
    if stage.reads == "transcript" and (stage.train != ["lora"] or stage.objective != "answer"):
        raise RecipeError(
            f"{where}.reads: where transcripts are read nothing is heard, so only 'lora' can learn,"
            " by the objective 'answer'; set train to [lora]"
        )
    if model and model.lora is None and "lora" in stage.train:
        raise RecipeError(
            f"{where}.train: trains 'lora', but model.lora is null; describe it there"
        )
    if model and model.layer_mixing == "last" and set(stage.train) == {"mixer"}:
        raise RecipeError(
            f"{where}.train: only 'mixer', which has nothing to learn while model.layer_mixing is"
            " 'last'; train another part too, or choose 'paper' or 'softmax' there"
        )
    if "encoder" in stage.train and recipe.data.cache == "all":
        raise RecipeError(
            f"{where}.train: a trained encoder cannot be cached; set data.cache to none"
        )


def _check_evaluation(recipe: Recipe) -> None:
    if recipe.evaluation is None:
        return
    _check_known("evaluation.corpus", "corpus", recipe.evaluation.corpus, recipe.data.corpora)
    for number, system in enumerate(recipe.evaluation.systems):
        try:
            SYSTEMS.check(system)
        except UserError as error:
            raise RecipeError(f"evaluation.systems.{number}: {error}") from None


def _check_known(where: str, kind: str, name: str, known: Collection[Any]) -> None:
    if name not in known:
        raise RecipeError(f"{where}: {unknown_name(kind, name, known)}")
