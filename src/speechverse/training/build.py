"""From a recipe to a model: the one bridge between the recipe and the model's own configuration."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch.nn import Parameter

from speechverse.encoders.best_rq.pieces import learn_pieces
from speechverse.encoders.best_rq.pretraining import EncoderForPreTraining
from speechverse.errors import RecipeError, SpeechverseError
from speechverse.models import SpeechVerseForConditionalGeneration, lora
from speechverse.models.llm import llm_from_config
from speechverse.seeding import hash_seed
from speechverse.training.recipe import Part, Recipe

Trained = SpeechVerseForConditionalGeneration | EncoderForPreTraining
"""What a recipe can be about."""


def build_encoder(recipe: Recipe, texts: Iterable[str] = ()) -> EncoderForPreTraining:
    """The encoder that a recipe pre-trains; without texts for its pieces, without a CTC head."""
    section = recipe.encoder
    assert section is not None
    known = list(texts)
    pieces = learn_pieces(known, section.num_pieces) if known else None
    torch.manual_seed(hash_seed(recipe.seed, "model"))
    return EncoderForPreTraining(section.body, section.best_rq, section.spec_augment, pieces)


def build_model(
    recipe: Recipe, dtype: torch.dtype = torch.float32
) -> SpeechVerseForConditionalGeneration:
    """The model that a run starts from: new, or its `initial` checkpoint.

    Args:
        dtype: Type of the frozen parts; what trains is kept in fp32.

    Raises:
        CheckpointError: If the checkpoint or a foundation is missing or broken.
        RecipeError: If a setting does not fit the LLM, or the checkpoint's LoRA the recipe's.
    """
    torch.manual_seed(hash_seed(recipe.seed, "model"))
    if recipe.initial is not None:
        model = SpeechVerseForConditionalGeneration.from_pretrained(recipe.initial, dtype=dtype)
        _refuse_other_lora(model, recipe)
    else:
        assert recipe.model is not None  # `check_recipe` has seen to it
        # Without LoRA: the stage that first trains it makes it, so that the stages before have
        # none.
        settings = recipe.model.model_dump(exclude={"lora"})
        model = SpeechVerseForConditionalGeneration.from_foundations(**settings, dtype=dtype)
    if not model.has_lora and any("lora" in stage.train for stage in recipe.curriculum):
        _check_lora(model, recipe)
    return model


def make_trainable(
    model: Trained, parts: Sequence[Part], recipe: Recipe, top_layers: int | None = None
) -> list[Parameter]:
    """Makes exactly these parts trainable, in fp32; LoRA is made where it is first trained.

    Args:
        top_layers: Of the encoder, so many of its last layers alone.

    Returns:
        The parameters that train, in the model's order.

    Raises:
        SpeechverseError: If anything else would train, or less.
    """
    if "lora" in parts and isinstance(model, SpeechVerseForConditionalGeneration):
        _add_lora(model, recipe)
    model.set_trainable(parts, top_layers)
    by_part = model.trainable_parts()
    allowed = {id(p) for part in parts for p in by_part[part]}
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    if {id(p) for p in trained.values()} != allowed:
        strays = ", ".join(name for name, p in trained.items() if id(p) not in allowed)
        raise SpeechverseError(
            f"only {', '.join(parts)} should train; trainable beside them:"
            f" {strays or 'none; some stayed frozen'}"
        )
    for parameter in trained.values():
        parameter.data = parameter.data.float()
    return list(trained.values())


def _add_lora(model: SpeechVerseForConditionalGeneration, recipe: Recipe) -> None:
    """Gives the LLM its low-rank adapters, if it has none, drawn from the recipe's seed."""
    if model.has_lora:
        return
    torch.manual_seed(hash_seed(recipe.seed, "lora"))
    model.add_lora(_lora_config(recipe))


def _lora_config(recipe: Recipe) -> lora.LoraConfig:
    config = recipe.model.lora if recipe.model else recipe.lora
    assert config is not None  # `check_recipe` and `_check_lora` have seen to it
    return config


def _refuse_other_lora(model: SpeechVerseForConditionalGeneration, recipe: Recipe) -> None:
    """The rank or the targets of adapters cannot be changed after they were made."""
    own = model.config.settings.lora
    if own is None or recipe.lora is None:
        return
    other = [
        f"{key} {getattr(own, key)} there, {value} here"
        for key, value in recipe.lora
        if getattr(own, key) != value
    ]
    if other:
        raise RecipeError(
            f"lora: the checkpoint '{recipe.initial}' has LoRA already, made with other settings"
            f" ({'; '.join(other)}); leave 'lora' out to go on with it, or start from a checkpoint"
            " without LoRA"
        )


def _check_lora(model: SpeechVerseForConditionalGeneration, recipe: Recipe) -> None:
    """Tries the adapters on a weightless twin, not only when their stage begins."""
    if recipe.initial is not None and recipe.lora is None:
        stage = next(stage.name for stage in recipe.curriculum if "lora" in stage.train)
        raise RecipeError(
            f"curriculum.{stage}.train: trains 'lora', but the checkpoint '{recipe.initial}' has"
            " none and the recipe's key 'lora' is null; describe it there, for example"
            " lora={rank: 16}"
        )
    with torch.device("meta"):
        lora.add(llm_from_config(model.llm.config), _lora_config(recipe))


def describe_parameters(model: Trained) -> list[str]:
    """What trains and what does not, a line a part."""
    return [
        f"  {row.part:<12} {row.total:>14,} parameters, {row.trainable:>12,} train"
        for row in model.parameter_report()
    ]
