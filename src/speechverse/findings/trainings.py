"""Models trained for a finding: the given recipe with other values, by the one trainer.

Budgets are in clip-steps of a stage that runs the LLM; a stage that does not (objective `ctc`)
costs a twentieth a clip, so `align` hears twenty times as many clips in the same time.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from speechverse.errors import RecipeError
from speechverse.training.recipe import Recipe, StageSection
from speechverse.training.recipe_files import load_recipe

ALIGNED, ALIGNED_LAST, WARM = "aligned", "aligned-last", "warm-up"
ALIGNED_ALL, ALL_LAYERS = "aligned-all-layers", "all-layers"
CURRICULUM, LAST_LAYER, AT_ONCE = "curriculum", "last-layer", "at-once"
TUNED_ENCODER, FROZEN = "tuned-encoder", "frozen-encoder"
GROUPS = {
    f"task-ft-{'-'.join(group)}": group
    for group in (
        ("asr",), ("st",), ("ic", "sf"), ("kwe", "kws"), ("er", "asc"), ("ac",), ("sc",), ("sns",)
    )
}  # fmt: skip
"""The paper's groups of tasks that have a model each."""

CLIP_STEPS = 3000
"""Of a confirmation; everything else is in proportion to it."""

SECONDS_A_CLIP_STEP = 0.6
"""Of a stage that runs the LLM, as `small` takes on two cores; elsewhere it is a guess."""

_CTC_COST = 0.05
"""Of a stage that does not run the LLM, beside one that does."""


@dataclass(frozen=True)
class Training:
    """One model that is trained for a finding.

    Attributes:
        initial: The training it goes on from; "" is the model that the findings are about; None
            begins anew.
        clip_steps: Of the stages together, as if each ran the LLM: what it costs.
        overrides: From the recipe and the budget to dotted overrides.
        mixing: Of the encoder's layers, where it is not the recipe's: of the last alone other
            outputs are kept.
    """

    name: str
    initial: str | None
    clip_steps: int
    overrides: Callable[[Recipe, int], list[str]]
    mixing: str | None = None

    @property
    def hours(self) -> float:
        """About what it takes, without encoding the clips."""
        return self.clip_steps * SECONDS_A_CLIP_STEP / 3600

    def recipe(
        self, source: str, given: Sequence[str], initial: Path | None, features: Path
    ) -> Recipe:
        """The recipe it is trained by.

        Args:
            source: The recipe it derives from, a name or a file.
            given: The user's own overrides of that.
            initial: Folder of the model it goes on from.
            features: Where the encoder's outputs are kept, unless recipe or user say where.

        Raises:
            RecipeError: If the recipe has no stages to derive from.
        """
        base = load_recipe(source, given)
        mixing = self.mixing or (base.model.layer_mixing if base.model else None)
        kept = f"{base.data.cache_folder or features}{'-last' if mixing == 'last' else ''}"
        made = [*given, f"name={self.name}", f"data.cache_folder={kept}"]
        made += self.overrides(base, self.clip_steps)
        if initial is not None:
            lora = base.model.lora if base.model else base.lora
            own = lora.model_dump() if lora and self.initial else None
            made += ["model=null", f"initial={initial}", f"lora={json.dumps(own)}"]
        return load_recipe(source, made)


def trainings(clip_steps: int = CLIP_STEPS) -> dict[str, Training]:
    """Every training by its name, each after those it goes on from."""
    align, group = round(0.8 * clip_steps), max(1, clip_steps // 2)
    plain = "model.downsampler.clip_statistics=false"  # which mixes all layers on its own
    half = {"train": ["mixer", "downsampler", "lora"]}
    made = [
        Training(ALIGNED, None, align, _only(_hearing)),
        Training(
            *(ALIGNED_ALL, None, align, _only(_hearing, "model.layer_mixing=softmax", plain)),
            mixing="softmax",
        ),
        Training(
            *(ALIGNED_LAST, None, align, _only(_hearing, "model.layer_mixing=last", plain)),
            mixing="last",
        ),
        Training(CURRICULUM, ALIGNED, clip_steps, _only(_answering)),
        Training(ALL_LAYERS, ALIGNED_ALL, clip_steps, _only(_answering), mixing="softmax"),
        Training(LAST_LAYER, ALIGNED_LAST, clip_steps, _only(_answering), mixing="last"),
        Training(AT_ONCE, None, align + clip_steps, _only(_answering)),
        Training(WARM, ALIGNED, max(1, clip_steps // 4), _of_tasks(("asr",))),
        *(Training(name, WARM, group, _of_tasks(tasks)) for name, tasks in GROUPS.items()),
        Training(FROZEN, "", group, _only(_answering, "data.cache=none", **half)),
        Training(
            *(TUNED_ENCODER, "", group),
            _only(_answering, "data.cache=none", train=[*half["train"], "encoder"], top_layers=2),
        ),
    ]
    return {training.name: training for training in made}


def _hearing(recipe: Recipe) -> StageSection:
    """The first stage that joins the parts without touching the LLM."""
    return _first(recipe, lambda stage: "lora" not in stage.train and stage.reads == "audio")


def _answering(recipe: Recipe) -> StageSection:
    """The first stage that learns all tasks, LoRA with them."""
    fitting = [s for s in recipe.curriculum if "lora" in s.train and s.reads == "audio"]
    many = [
        stage
        for stage in fitting
        if len({item.task for item in recipe.data.mixtures[stage.mixture]}) > 1
    ]
    if not many:
        raise RecipeError(
            f"recipe '{recipe.name}' has no stage that trains 'lora' on several tasks, from which"
            " the findings' own could be derived"
        )
    return many[0]


def _first(recipe: Recipe, fits: Callable[[StageSection], bool]) -> StageSection:
    for stage in recipe.curriculum:
        if fits(stage):
            return stage
    raise RecipeError(
        f"recipe '{recipe.name}' has no stage that trains without 'lora', from which the findings'"
        " own could be derived"
    )


def _only(
    choose: Callable[[Recipe], StageSection], *others: str, **changes: Any
) -> Callable[[Recipe, int], list[str]]:
    """One of the recipe's stages alone, with so many clip-steps."""

    def overrides(recipe: Recipe, clip_steps: int) -> list[str]:
        return [*_one_stage(recipe, choose(recipe), clip_steps, changes), *others]

    return overrides


def _of_tasks(tasks: tuple[str, ...]) -> Callable[[Recipe, int], list[str]]:
    """The stage that answers, of these tasks alone."""

    def overrides(recipe: Recipe, clip_steps: int) -> list[str]:
        stage = _answering(recipe)
        items = [item for item in recipe.data.mixtures[stage.mixture] if item.task in tasks]
        if not items:
            raise RecipeError(
                f"mixture '{stage.mixture}' of recipe '{recipe.name}' has none of the tasks"
                f" {', '.join(tasks)}"
            )
        mixture = json.dumps([item.model_dump() for item in items])
        return [
            f"data.mixtures.few={mixture}",
            *_one_stage(recipe, stage, clip_steps, {"mixture": "few"}),
        ]

    return overrides


def _one_stage(
    recipe: Recipe, stage: StageSection, clip_steps: int, changes: dict[str, Any]
) -> list[str]:
    batch = recipe.data.batch
    at_once = (stage.max_examples or batch.max_examples) * batch.micro_batches
    cost = _CTC_COST if stage.objective == "ctc" else 1.0
    steps = max(1, round(clip_steps / cost / at_once))
    values = stage.model_dump() | {
        "steps": steps,
        "warmup_steps": min(stage.warmup_steps, steps // 10),
        "patience": None,
        **changes,
    }
    return [f"curriculum={json.dumps([values])}", "evaluation=null"]
