"""The card beside an encoder: what it is, what it was made of, how good it is on what was held out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from transformers import PreTrainedModel

from speechverse.foundations.features import MEL_FRAME_RATE
from speechverse.foundations.recipe import EncoderRecipe

_CARD = """---
library_name: transformers
tags: [speechverse, best-rq]
---
# {name}

A speech encoder (`{model_type}`, {parameters:.2f} M parameters, {layers} layers of {width}, {frame_rate:g} frames a
second), pre-trained with BEST-RQ {then}on {hours:.2f} hours of its maker's own audio.

Recipe: `{name}`, seed {seed}: {steps}.

## Held out

| measure | value |
| --- | --- |
{table}

`dev_accuracy` is the share of hidden frames whose code was named rightly, `dev_common_share` what naming the most
common code each time would reach, `dev_code_perplexity` how many of the {codes} codes are effectively in use.
"""
_HEADLESS = "alone (it has no head and transcribes nothing by itself) "
_TRANSCRIBES = (
    "and then, BEST-RQ kept beside it, with CTC on transcripts ({infeasible:.2%} of which CTC could not align) "
)


def encoder_card(
    recipe: EncoderRecipe, model: PreTrainedModel, history: Sequence[Mapping], infeasible: float | None, hours: float
) -> str:
    """The card.

    Args:
        recipe: What it was made by.
        model: With its head, if it has one.
        history: Looks at the held-out part, in their order; the last of each measure counts.
        infeasible: Share of the training transcripts that CTC could not align; None without CTC.
        hours: How much audio was heard.
    """
    last = {name: value for look in history for name, value in look.items() if name != "step"}
    steps = {"BEST-RQ": recipe.best_rq.steps} | ({"CTC": recipe.ctc.steps} if recipe.ctc else {})
    return _CARD.format(
        name=recipe.name,
        seed=recipe.seed,
        model_type=model.config.model_type,
        parameters=sum(parameter.numel() for parameter in model.parameters()) / 1e6,
        layers=recipe.shape.num_hidden_layers,
        width=recipe.shape.hidden_size,
        frame_rate=MEL_FRAME_RATE / recipe.shape.stride,
        then=_HEADLESS if infeasible is None else _TRANSCRIBES.format(infeasible=infeasible),
        hours=hours,
        steps=", ".join(f"{count} steps of {what}" for what, count in steps.items()),
        table="\n".join(f"| {name} | {value:.3f} |" for name, value in last.items()),
        codes=recipe.objective.codebook_size,
    )
