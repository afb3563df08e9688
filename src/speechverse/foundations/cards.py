"""The cards beside the frozen parts: what they are, what they were made of, how good, where they fail."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from speechverse.evaluation.probes import ProbeTable
from speechverse.evaluation.recognition import COLUMNS
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

Recipe: `{recipe}`, seed {seed}, {steps} steps of {tokens} tokens.

## On held-out text (dev sentences, {examples} a task, greedy)

{table}

`clean` is the transcript as written, `stretched` as the frames will be. Below 0.9 here (WER above 0.1), the audio is
not to blame.
"""

_ENCODER = """---
license: apache-2.0
language: en
library_name: transformers
tags: [speechverse, synthetic, best-rq]
---
# {name}

A small speech encoder (`{model_type}`, {parameters:.2f} M parameters with the head, {layers} layers of {width},
{frame_rate:g} frames a second) with a CTC head over the subwords of the LLM that goes with it. Pre-trained with
BEST-RQ, then with CTC (BEST-RQ kept beside it), on {utterances} clips of synthetic speech and noises. It has never
heard a human voice. {loading}

Recipe: `{recipe}`, seed {seed}: {best_rq_steps} steps of BEST-RQ, {ctc_steps} of CTC.

## Held-out voices and sentences (dev part)

{table}

Targets that CTC could not align (left out): {infeasible:.2%} of the training utterances.

## What the CTC head hears, greedily (dev part, by kind of clip)

{recognition}

## What a linear classifier tells from its layers

{probes}
"""

_BEST_RQ = """---
license: apache-2.0
language: en
library_name: transformers
tags: [speechverse, synthetic, best-rq]
---
# {name}: BEST-RQ alone

The body of `{name}` ({parameters:.2f} M parameters) as {steps} steps of BEST-RQ left it, before CTC, without a head:
kept to compare with. {loading}

## What a linear classifier tells from its layers

{probes}
"""

_PROBED = """Logistic regression on the mean and the deviation of a layer over a clip, fitted on voices of the training
part, tested on the voices and sentences of the dev part (speakers: among those of the dev part, half of each one's
clips to fit). Recall averaged over classes, for words balanced accuracy averaged over common words, with 95 % intervals
over clips; bold is the best layer, chosen on these same clips.
`log-mel` are the frames before the encoder, level and all."""

_OWN_CLASS = "After `import speechverse.models`, transformers loads it: `{auto}.from_pretrained(folder)`."


def lm_card(recipe: LmRecipe, lm: nn.Module, tokenizer: PreTrainedTokenizerFast, scores: Mapping[str, Mapping]) -> str:
    """The LLM's card, with its gate table."""
    rows = []
    for task, clean in scores["clean"].items():
        stretched, metric = scores["stretched"][task], next(iter(clean))
        values = (clean[metric], stretched[metric], clean["exact"], stretched["exact"])
        rows.append([task, metric, *(f"{value:.3f}" for value in values)])
    return _LM.format(
        name=recipe.name,
        recipe=recipe.name,
        seed=recipe.seed,
        parameters=_millions(lm),
        pieces=len(tokenizer),
        steps=recipe.training.steps,
        tokens=recipe.data.batch_tokens,
        examples=recipe.data.gate_examples,
        table=_table(["task", "metric", "clean", "stretched", "exact, clean", "exact, stretched"], rows),
    )


def encoder_card(
    recipe: EncoderRecipe, model: PreTrainedModel, history: Sequence[Mapping], infeasible: float, report: EncoderReport
) -> str:
    """The encoder's card, with its last look at the dev part, what it recognises and what its layers tell."""
    last = {name: value for phase in history for name, value in phase.items() if name != "step"}
    return _ENCODER.format(
        name=recipe.name,
        recipe=recipe.name,
        seed=recipe.seed,
        model_type=model.config.model_type,
        parameters=_millions(model),
        frame_rate=MEL_FRAME_RATE / recipe.shape.stride,
        loading=_loading(model, "AutoModelForCTC"),
        layers=recipe.shape.num_hidden_layers,
        width=recipe.shape.hidden_size,
        utterances=recipe.data.utterances,
        best_rq_steps=recipe.best_rq.steps,
        ctc_steps=recipe.ctc.steps,
        table=_table(["measure", "value"], [[name, f"{value:.3f}"] for name, value in last.items()]),
        infeasible=infeasible,
        recognition=_table(COLUMNS, [kind.cells for kind in report.recognition]),
        probes=_probed(report.probes),
    )


def best_rq_card(recipe: EncoderRecipe, model: PreTrainedModel, report: EncoderReport) -> str:
    """The card of the body before CTC."""
    return _BEST_RQ.format(
        name=recipe.name,
        parameters=_millions(model),
        steps=recipe.best_rq.steps,
        loading=_loading(model, "AutoModel"),
        probes=_probed(report.probes),
    )


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
