"""The cards beside the frozen parts: what they are, what they were made of, how good, where they fail."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from speechverse.evaluation.probes import ProbeTable
from speechverse.evaluation.recognition import COLUMNS
from speechverse.foundations.beginnings import digest
from speechverse.foundations.encoder_report import EncoderReport
from speechverse.foundations.features import MEL_FRAME_RATE
from speechverse.foundations.recipe import EncoderRecipe, LmRecipe

_LM = """---
license: apache-2.0
language: [en, de, fr]
library_name: transformers
tags: [speechverse, synthetic]
---
# {name}

A small encoder-decoder ({parameters:.2f} M parameters, {pieces} pieces) that follows instructions about a text, made to
be the frozen LLM of a SpeechVerse model. Trained from scratch on text made by a grammar: the eleven tasks of the
framework asked of transcripts, clean or stretched as audio frames would be, and exercises in copying and searching.
It knows nothing of the world outside that grammar, and is no chat model.

Recipe: `{recipe}`, seed {seed}, {steps} steps of {tokens} tokens.{begun}

## On held-out text (dev sentences, {examples} a task, greedy)

{table}

`clean` is the transcript as written, `stretched` as the frames will be, `reworded` the transcript as written with the
instruction in words never trained on. Below 0.9 here (WER above 0.1), the audio is not to blame.
"""

_ENCODER = """---
{front}
---
# {name}

A small speech encoder (`{model_type}`, {parameters:.2f} M parameters with the head, {layers} layers of {width},
{frame_rate:g} frames a second) with a CTC head over the subwords of the LLM that goes with it. Pre-trained with
BEST-RQ, then with CTC (BEST-RQ kept beside it), on {heard} {loading}

Recipe: `{recipe}`, seed {seed}: {best_rq_steps} steps of BEST-RQ, {ctc_steps} of CTC.{begun}

## Held-out voices and sentences (dev part)

{table}

Targets that CTC could not align (left out): {infeasible:.2%} of the training utterances.

## What the CTC head hears, greedily (dev part, by kind of clip)

{recognition}

## What a linear classifier tells from its layers

{probes}
"""

_BODY = """---
{front}
---
# {name}{stage}

The body of a small speech encoder (`{model_type}`, {parameters:.2f} M parameters, {layers} layers of {width},
{frame_rate:g} frames a second), pre-trained with BEST-RQ alone on {heard} It has no head: it gives states to build on
(an LLM's ears, a classifier, a CTC head to fine-tune), and transcribes nothing by itself. {loading}

Recipe: `{recipe}`, seed {seed}: {steps} steps of BEST-RQ.{begun}

## Held out

{table}

`dev_accuracy` is the share of hidden frames whose code was named rightly, `dev_common_share` what naming the most
common code each time would reach, `dev_code_perplexity` how many of the {codes} codes are effectively in use.

## What a linear classifier tells from its layers

{probes}
"""

_PROBED = """Logistic regression on the mean and the deviation of a layer over a clip, fitted on voices of the training
part, tested on the voices and sentences of the dev part (speakers: among those of the dev part, half of each one's
clips to fit). Recall averaged over classes, for words balanced accuracy averaged over common words, with 95 % intervals
over clips; bold is the best layer, chosen on these same clips.
`log-mel` are the frames before the encoder, level and all."""

_FRONT = """license: apache-2.0
language: en
library_name: transformers
tags: [speechverse, synthetic, best-rq]"""
_OWN_FRONT = """library_name: transformers
tags: [speechverse, best-rq]"""  # language and licence are for those to say whose audio it is

_SPEAKS = " The head's weights are the embeddings of an LLM (`{}`), kept as they are."
_OWN_CLASS = "After `import speechverse.models`, transformers loads it: `{auto}.from_pretrained(folder)`."


def lm_card(recipe: LmRecipe, lm: nn.Module, tokenizer: PreTrainedTokenizerFast, scores: Mapping[str, Mapping]) -> str:
    """The LLM's card, with its gate table."""
    rows = []
    for task, clean in scores["clean"].items():
        metric = next(iter(clean))
        values = [of_kind[task][name] for name in (metric, "exact") for of_kind in scores.values()]
        rows.append([task, metric, *(f"{value:.3f}" for value in values)])
    kinds = list(scores)
    return _LM.format(
        name=recipe.name,
        recipe=recipe.name,
        seed=recipe.seed,
        parameters=_millions(lm),
        pieces=len(tokenizer),
        steps=recipe.training.steps,
        tokens=recipe.data.batch_tokens,
        begun=_begun(recipe, " Its embeddings were left as they were." if recipe.freeze_embeddings else ""),
        examples=recipe.data.gate_examples,
        table=_table(["task", "metric", *kinds, *(f"exact, {kind}" for kind in kinds)], rows),
    )


def encoder_card(
    recipe: EncoderRecipe,
    model: PreTrainedModel,
    history: Sequence[Mapping],
    infeasible: float,
    report: EncoderReport,
    own_hours: float | None,
) -> str:
    """The encoder's card, with its last look at the dev part, what it recognises and what its layers tell.

    Args:
        recipe: What it was made by.
        model: With its head.
        history: Looks at the dev part.
        infeasible: Share of training clips that CTC could not align.
        report: What it is worth.
        own_hours: How much of the user's own audio it heard; None for made speech.
    """
    assert recipe.ctc is not None
    return _ENCODER.format(
        **_body(recipe, model, own_hours),
        loading=_loading(model, "AutoModelForCTC"),
        best_rq_steps=recipe.best_rq.steps,
        ctc_steps=recipe.ctc.steps,
        begun=_begun(recipe, _SPEAKS.format(digest(recipe.ctc.embeddings)) if recipe.ctc.embeddings else ""),
        table=_last_look(history),
        infeasible=infeasible,
        recognition=_table(COLUMNS, [kind.cells for kind in report.recognition]),
        probes=_probed(report.probes),
    )


def body_card(
    recipe: EncoderRecipe,
    model: PreTrainedModel,
    history: Sequence[Mapping],
    report: EncoderReport,
    own_hours: float | None,
) -> str:
    """The card of a body that was made by BEST-RQ alone; arguments as of `encoder_card`."""
    return _BODY.format(
        **_body(recipe, model, own_hours),
        stage=", before CTC" if recipe.ctc else "",
        loading=_loading(model, "AutoModel"),
        steps=recipe.best_rq.steps,
        begun=_begun(recipe),
        codes=recipe.objective.codebook_size,
        table=_last_look(history),
        probes=_probed(report.probes),
    )


def _body(recipe: EncoderRecipe, model: PreTrainedModel, own_hours: float | None) -> dict[str, Any]:
    made = f"{recipe.data.utterances} clips of synthetic speech and noises."
    if recipe.initial is None:  # what it begins with may have been made of anything
        made += " It has never\nheard a human voice."
    return {
        "front": _FRONT if own_hours is None else _OWN_FRONT,
        "heard": made if own_hours is None else f"{own_hours:.2f} hours of its maker's own audio.",
        "name": recipe.name,
        "recipe": recipe.name,
        "seed": recipe.seed,
        "model_type": model.config.model_type,
        "parameters": _millions(model),
        "frame_rate": MEL_FRAME_RATE / recipe.shape.stride,
        "layers": recipe.shape.num_hidden_layers,
        "width": recipe.shape.hidden_size,
    }


def _begun(recipe: EncoderRecipe | LmRecipe, more: str = "") -> str:
    begun = f"\nBegun with the weights of a finished run (`{digest(recipe.initial)}`)." if recipe.initial else ""
    return begun + more


def _last_look(history: Sequence[Mapping]) -> str:
    last = {name: value for phase in history for name, value in phase.items() if name != "step"}
    return _table(["measure", "value"], [[name, f"{value:.3f}"] for name, value in last.items()])


def _loading(model: PreTrainedModel, auto: str) -> str:
    return _OWN_CLASS.format(auto=auto) if model.config.model_type == "conv_speech" else ""


def _probed(tables: Sequence[ProbeTable]) -> str:
    if not tables:
        return "Not probed."
    return "\n\n".join([_PROBED, *(f"### {table.encoder}\n\n{table.markdown()}" for table in tables)])


def _millions(module: nn.Module) -> float:
    return sum(parameter.numel() for parameter in module.parameters()) / 1e6


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
