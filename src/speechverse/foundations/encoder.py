"""`speechverse pretrain encoder`: speech of its own, BEST-RQ, then CTC on the LLM's subwords, to a hub-format folder.

Shapes: B batch, T stacked frames (25 Hz), V pieces, U target pieces.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import AutoModelForCTC, PreTrainedConfig, PreTrainedTokenizerFast, Wav2Vec2BertConfig

from speechverse.data import Corpus
from speechverse.encoders.best_rq import BestRqConfig, BestRqForPreTraining, BestRqOutput
from speechverse.encoders.conv_speech import ConvSpeechConfig
from speechverse.encoders.ctc import greedy_ids
from speechverse.files import only_run_in
from speechverse.foundations.cards import encoder_card
from speechverse.foundations.features import (
    MEL_BINS,
    MEL_FRAME_RATE,
    FeatureStore,
    SpeechBatch,
    SpeechBatches,
    front_end,
    make_features,
    spec_augment,
    warped,
)
from speechverse.foundations.phases import Numbers, Phase, made_of
from speechverse.foundations.recipe import BestRqRecipe, ConformerShape, EncoderRecipe, EncoderShape
from speechverse.foundations.saving import save_foundation
from speechverse.foundations.text_side import SPOKEN_STRATA
from speechverse.foundations.world import world_tokenizer
from speechverse.metrics import score
from speechverse.seeding import hash_seed, rng_for
from speechverse.synth import SynthSpec, synthesize_corpus
from speechverse.training.logs import Progress
from speechverse.types import Utterance

LETTERS = "abcdefghijklmnopqrstuvwxyz'"


Targets = Sequence[Sequence[int]]


class TwoObjectives(nn.Module):
    """One body under the CTC head and the BEST-RQ heads; a head over letters helps CTC and is not kept."""

    def __init__(self, shape: EncoderShape, objective: BestRqRecipe, tokenizer: PreTrainedTokenizerFast) -> None:
        super().__init__()
        self.ctc: Any = AutoModelForCTC.from_config(body_config(shape, tokenizer))
        if isinstance(shape, ConformerShape):
            _start_conformer(self.ctc.base_model)
        self.letters = nn.Linear(shape.hidden_size, 1 + len(LETTERS))
        self.best_rq = BestRqForPreTraining(self.ctc.base_model, BestRqConfig(**objective.model_dump()))

    def named(self, batch: SpeechBatch, generator: torch.Generator) -> BestRqOutput:
        """The self-supervised pass."""
        return self.best_rq(batch.features, batch.mask, generator)

    def ctc_losses(
        self, batch: SpeechBatch, pieces: Targets, spelled: Targets, letters_layer: int
    ) -> tuple[Tensor, Tensor]:
        """CTC losses a piece, from the top, and a letter, from a layer below."""
        output = self.ctc(batch.features, attention_mask=batch.mask, output_hidden_states=True)
        letter_logits = self.letters(output.hidden_states[letters_layer])
        return ctc_loss(output.logits, batch.mask, pieces), ctc_loss(letter_logits, batch.mask, spelled)

    def low_parameters(self, layers: int) -> set[nn.Parameter]:
        """Those of the input projection and of the bottom layers, where voice and tone are kept."""
        body = self.ctc.base_model
        low = [body.feature_projection, *body.encoder.layers[:layers]]
        return {parameter for module in low for parameter in module.parameters()}


def _start_conformer(body: nn.Module) -> None:
    """Xavier weights instead of transformers' std of 0.02; part of what learned best here, not shown to be a cause."""
    for module in body.modules():
        if isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight)


def body_config(shape: EncoderShape, tokenizer: PreTrainedTokenizerFast) -> PreTrainedConfig:
    """The body in transformers' words; the CTC blank is the padding piece."""
    common: dict[str, Any] = {
        "vocab_size": len(tokenizer),
        "feature_projection_input_dim": MEL_BINS * shape.stride,
        "pad_token_id": tokenizer.pad_token_id,
        **shape.model_dump(exclude={"body", "stride", "dropout"}),
    }
    if not isinstance(shape, ConformerShape):
        return ConvSpeechConfig(**common, hidden_dropout=shape.dropout)
    dropouts = ("hidden_dropout", "activation_dropout", "attention_dropout", "conformer_conv_dropout", "final_dropout")
    return Wav2Vec2BertConfig(
        **common,
        **dict.fromkeys(dropouts, shape.dropout),
        feat_proj_dropout=0.0,
        layerdrop=0.0,
        apply_spec_augment=False,
        mask_time_prob=0.0,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
    )


def ctc_loss(logits: Tensor, mask: Tensor, targets: Targets) -> Tensor:
    """CTC loss a target unit (blank: id 0); rows that cannot be aligned count nothing."""
    sizes = torch.tensor([len(target) for target in targets])
    flat = torch.tensor([unit for target in targets for unit in target])
    scores = logits.log_softmax(dim=-1).transpose(0, 1)
    loss = functional.ctc_loss(scores, flat, mask.sum(dim=1), sizes, reduction="sum", zero_infinity=True)
    return loss / max(1, int(sizes.sum()))


def spell(text: str) -> list[int]:
    """Letters of a text as ids from 1, without spaces and with doubles taken once, which saves CTC the frames."""
    letters = [letter for letter, _ in groupby(letter for letter in text if letter in LETTERS)]
    return [1 + LETTERS.index(letter) for letter in letters]


class Transcripts:
    """Transcripts as pieces and as letters, and which of them CTC can align at all."""

    def __init__(
        self, utterances: Sequence[Utterance], store: FeatureStore, tokenizer: PreTrainedTokenizerFast
    ) -> None:
        self.texts = [utterance.text or "" for utterance in utterances]
        self.ids: list[list[int]] = tokenizer(self.texts, add_special_tokens=False)["input_ids"]
        self.letters = [spell(text) for text in self.texts]
        spoken = [row for row, text in enumerate(self.texts) if text]
        # The tempo is raised by a tenth at most, so a tenth of the frames is kept in hand.
        self.usable = [row for row in spoken if frames_needed(self.ids[row]) <= 0.89 * store.lengths[row]]
        self.infeasible = 1.0 - len(self.usable) / max(1, len(spoken))
        self._clean = [u.labels.get("num_speakers") == 1 and not u.labels.get("noise") for u in utterances]
        self._seconds = [utterance.duration for utterance in utterances]

    def easy(self, seconds: float) -> list[int]:
        """Rows that CTC can align, of one speaker, without noise, and no longer than `seconds`."""
        return [row for row in self.usable if self._clean[row] and self._seconds[row] <= seconds]


def frames_needed(ids: Sequence[int]) -> int:
    """Frames that CTC needs to write pieces: one each, and a blank between equal neighbours."""
    return len(ids) + sum(a == b for a, b in pairwise(ids))


def pretrain_encoder(recipe: EncoderRecipe, output: Path) -> Path:
    """Makes the encoder, or goes on making it.

    Args:
        recipe: Sizes, data and steps.
        output: The run's folder: corpus, features, states, logs, and at the end `encoder/`.

    Returns:
        The folder that transformers loads.
    """
    with only_run_in(output):
        tokenizer = world_tokenizer(recipe.tokenizer)
        torch.manual_seed(hash_seed(recipe.seed, "encoder") % 2**63)
        model = TwoObjectives(recipe.shape, recipe.objective, tokenizer)
        training = EncoderTraining(recipe, model, tokenizer, _make_corpus(recipe, output), output)
        history = [entry for phase in (training.best_rq_phase(), training.ctc_phase()) for entry in _run(phase, output)]
        card = encoder_card(recipe, model.ctc, history, training.targets["train"].infeasible)
        return save_foundation(
            output / "encoder", model.ctc, tokenizer, card, {"history": history}, front_end(recipe.shape.stride)
        )


def _run(phase: Phase, output: Path) -> list[Numbers]:
    phase.run(output)
    return phase.history


def _make_corpus(recipe: EncoderRecipe, output: Path) -> Corpus:
    data = recipe.data
    spec = SynthSpec(
        name=f"foundation-{data.seed}",
        num_train=data.utterances,
        num_dev=data.dev_utterances,
        seed=data.seed,
        strata=SPOKEN_STRATA,
    )
    with Progress("speech", data.utterances + data.dev_utterances) as progress:
        synthesize_corpus(
            output / "corpus", spec, num_workers=data.workers, progress=lambda done, total, seconds: progress.advance()
        )
    return Corpus.open(output / "corpus")


class EncoderTraining:
    """Both phases over one corpus."""

    def __init__(
        self,
        recipe: EncoderRecipe,
        model: TwoObjectives,
        tokenizer: PreTrainedTokenizerFast,
        corpus: Corpus,
        output: Path,
    ) -> None:
        self.recipe, self.model, self.tokenizer = recipe, model, tokenizer
        self.stores: dict[str, FeatureStore] = {}
        self.targets: dict[str, Transcripts] = {}
        for part in ("train", "dev"):
            utterances = list(corpus.utterances(part))
            folder = output / "features" / part
            self.stores[part] = make_features(utterances, folder, recipe.shape.stride, recipe.data.workers)
            self.targets[part] = Transcripts(utterances, self.stores[part], tokenizer)
        self.frames = round(recipe.data.batch_seconds * MEL_FRAME_RATE / recipe.shape.stride)

    def best_rq_phase(self) -> Phase:
        """Masked prediction on everything, non-speech too."""
        longest = self.recipe.data.max_seconds * MEL_FRAME_RATE / self.recipe.shape.stride
        rows = [row for row, length in enumerate(self.stores["train"].lengths) if length <= longest]
        needed = f"clips of at most {self.recipe.data.max_seconds:g} s (data.max_seconds)"
        batches = SpeechBatches(self.stores["train"], rows, self.frames, self.recipe.seed, needed)

        def loss(step: int) -> tuple[Tensor, Numbers]:
            batch = warped(batches[step], self._rng("best_rq", step))
            output = self.model.named(batch, _generator(self.recipe.seed, "best_rq", step))
            return output.loss, _numbers(output)

        origin = made_of(self.recipe, self.tokenizer, later=("ctc", "augment"))
        return Phase("best_rq", self.model, loss, self.recipe.best_rq, self.recipe.seed, origin, self._look_best_rq)

    def ctc_phase(self) -> Phase:
        """Transcripts, with masked prediction beside them every few steps."""
        settings, targets = self.recipe.ctc, self.targets["train"]
        needed = "transcribed clips long enough for CTC to align"
        batches = SpeechBatches(self.stores["train"], targets.usable, self.frames, self.recipe.seed + 1, needed)
        easy = self._easy_batches() if settings.easy_steps else batches
        low = self.model.low_parameters(settings.low_layers)
        groups: list[dict[str, Any]] = [
            {"params": [p for p in self.model.parameters() if p not in low]},
            {
                "params": [p for p in self.model.parameters() if p in low],
                "lr": settings.low_rate * settings.learning_rate,
            },
        ]

        def loss(step: int) -> tuple[Tensor, Numbers]:
            rng = self._rng("ctc", step)
            if step < settings.easy_steps:
                batch = seen = easy[step]
            else:
                batch = warped(batches[step], rng)
                seen = spec_augment(batch, self.recipe.augment, rng)
            pieces, letters = ([units[row] for row in batch.rows] for units in (targets.ids, targets.letters))
            ctc, spelling = self.model.ctc_losses(seen, pieces, letters, settings.letters_layer)
            total, numbers = (
                ctc + settings.letters * spelling,
                {"ctc": float(ctc.detach()), "letters": float(spelling.detach())},
            )
            beside = settings.self_supervised and step >= settings.easy_steps
            if beside and step % settings.self_supervised_every == 0:
                output = self.model.named(batch, _generator(self.recipe.seed, "ctc", step))
                total, numbers = total + settings.self_supervised * output.loss, numbers | _numbers(output)
            return total, numbers

        origin = made_of(self.recipe, self.tokenizer)
        return Phase("ctc", self.model, loss, settings, self.recipe.seed, origin, self._look_ctc, groups)

    def _easy_batches(self) -> SpeechBatches:
        seconds = self.recipe.ctc.easy_seconds
        needed = f"clean clips of one speaker of at most {seconds:g} s (ctc.easy_seconds, for ctc.easy_steps)"
        rows = self.targets["train"].easy(seconds)
        return SpeechBatches(self.stores["train"], rows, self.frames, self.recipe.seed + 2, needed)

    def _rng(self, phase: str, step: int) -> Any:
        return rng_for(self.recipe.seed, phase, "augment", step)

    def _dev_batches(self, rows: Sequence[int]) -> list[SpeechBatch]:
        batches = SpeechBatches(self.stores["dev"], rows, self.frames, 0, "held-out clips to look at")
        order = sorted(rows, key=lambda row: self.stores["dev"].lengths[row])
        return [batches.collate(part) for part in batches.in_batches(order)]

    def _look_best_rq(self) -> Numbers:
        batches = self._dev_batches(range(len(self.stores["dev"])))
        outputs = [self.model.named(batch, _generator(0, "dev", n)) for n, batch in enumerate(batches)]
        means = [_numbers(output) | {"best_rq": float(output.loss)} for output in outputs]
        return {f"dev_{name}": sum(mean[name] for mean in means) / len(means) for name in means[0]}

    def _look_ctc(self) -> Numbers:
        """Greedy word error rate on the dev part, targets that cannot be aligned included."""
        targets = self.targets["dev"]
        rows = [row for row, text in enumerate(targets.texts) if text]
        heard: dict[int, str] = {}
        for batch in self._dev_batches(rows):
            logits = self.model.ctc(batch.features, attention_mask=batch.mask).logits
            ids = greedy_ids(logits, batch.mask.sum(dim=1), self.tokenizer.pad_token_id)
            heard |= zip(batch.rows, self.tokenizer.batch_decode(ids, skip_special_tokens=True), strict=True)
        wer = score(["wer"], [heard[row] for row in rows], [targets.texts[row] for row in rows])["wer"]
        return {"dev_wer": wer, **self._look_best_rq()}


def _numbers(output: BestRqOutput) -> Numbers:
    return {
        "accuracy": output.accuracy,
        "common_share": output.common_share,
        "code_perplexity": output.code_perplexity,
    }


def _generator(seed: int, *keys: object) -> torch.Generator:
    return torch.Generator().manual_seed(hash_seed(seed, *keys) % 2**63)
