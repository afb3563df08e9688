"""`speechverse pretrain encoder`: own audio, BEST-RQ, then CTC where there are transcripts, to a hub folder.

Shapes: B batch, T stacked frames (25 Hz), V pieces, U target pieces.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from speechverse.data import Corpus
from speechverse.encoders.ctc import greedy_ids
from speechverse.files import only_run_in
from speechverse.foundations.cards import encoder_card
from speechverse.foundations.compute import Compute
from speechverse.foundations.crew import ALONE, Crew
from speechverse.foundations.features import (
    MEL_FRAME_RATE,
    FeatureStore,
    SpeechBatch,
    SpeechBatches,
    front_end,
    make_features,
    stacked,
    stacked_lengths,
)
from speechverse.foundations.objectives import Objectives, frames_needed, spec_augment
from speechverse.foundations.own_audio import own_corpus
from speechverse.foundations.phases import Numbers, Phase, made_of
from speechverse.foundations.pieces import learn_pieces
from speechverse.foundations.recipe import EncoderRecipe
from speechverse.foundations.saving import save_foundation
from speechverse.metrics import score
from speechverse.seeding import hash_seed
from speechverse.training.memory import keep_freed_memory

_PARTS = ("train", "dev")


def pretrain_encoder(recipe: EncoderRecipe, output: Path) -> Path:
    """Makes the encoder, or goes on making it.

    Args:
        recipe: Sizes, data and steps.
        output: The run's folder: what was found in the audio, features, states, logs, and at the end `encoder/`.

    Returns:
        The folder that transformers loads.

    Raises:
        UserError: If there is no audio to learn from, or not what the run was begun with.
    """
    keep_freed_memory()
    crew = Crew.join(cpu=recipe.compute.device == "cpu")
    with only_run_in(output) if crew.leads else nullcontext():
        if not crew.leads:
            crew.wait()
        corpus = own_corpus(recipe.data, output, with_words=recipe.ctc is not None)
        texts = [utterance.text for utterance in corpus.utterances("train") if utterance.text]
        tokenizer = learn_pieces(texts, recipe.ctc.vocab_size) if recipe.ctc else None
        torch.manual_seed(hash_seed(recipe.seed, "encoder") % 2**63)
        model = Objectives(recipe.shape, recipe.objective, tokenizer, Compute.of(recipe.compute))
        training = EncoderTraining(recipe, model, tokenizer, corpus, output, crew)
        if crew.leads:
            crew.wait()
        history = training.best_rq_phase().run(output)
        if recipe.ctc:
            history = history + training.ctc_phase().run(output)
        if crew.leads:
            _save(output / "encoder", training, history)
        crew.wait()
        return output / "encoder"


def _save(folder: Path, training: EncoderTraining, history: list[Numbers]) -> None:
    recipe, model = training.recipe, training.model
    made = model.body if model.ctc is None else model.ctc
    infeasible = None if model.ctc is None else training.infeasible
    card = encoder_card(recipe, made, history, infeasible, training.corpus.description["hours"])
    figures = {"history": history}
    save_foundation(folder, made, training.tokenizer, card, figures, front_end(recipe.shape.stride))


class EncoderTraining:
    """Both phases over one corpus."""

    def __init__(
        self,
        recipe: EncoderRecipe,
        model: Objectives,
        tokenizer: PreTrainedTokenizerFast | None,
        corpus: Corpus,
        output: Path,
        crew: Crew = ALONE,
    ) -> None:
        self.recipe, self.model, self.tokenizer, self.corpus, self.crew = recipe, model, tokenizer, corpus, crew
        self.stride = recipe.shape.stride
        self.stores: dict[str, FeatureStore] = {}
        self.texts: dict[str, list[str]] = {}
        for part in _PARTS:
            utterances = list(corpus.utterances(part))
            store = make_features(utterances, output / "features" / part, recipe.data.workers)
            self.stores[part] = store.serve(model.compute)
            self.texts[part] = [utterance.text or "" for utterance in utterances]
        self.targets: list[list[int]] = tokenizer(self.texts["train"])["input_ids"] if tokenizer else []
        self.frames = round(recipe.data.batch_seconds * MEL_FRAME_RATE)

    @property
    def infeasible(self) -> float:
        """Share of the training transcripts that CTC cannot align."""
        spoken = sum(map(bool, self.texts["train"]))
        return 1.0 - len(self._alignable()) / max(1, spoken)

    def _alignable(self) -> list[int]:
        """Rows that have a transcript, and frames enough for it."""
        lengths = stacked_lengths(torch.tensor(self.stores["train"].lengths), self.stride).tolist()
        return [row for row, ids in enumerate(self.targets) if ids and frames_needed(ids) <= lengths[row]]

    def best_rq_phase(self) -> Phase:
        """Masked prediction on everything."""
        longest = self.recipe.data.max_seconds * MEL_FRAME_RATE
        rows = [row for row, length in enumerate(self.stores["train"].lengths) if length <= longest]
        needed = f"clips of at most {self.recipe.data.max_seconds:g} s (data.max_seconds)"
        batches = SpeechBatches(self.stores["train"], rows, self.frames, self.recipe.seed, needed, self.crew)

        def loss(step: int) -> tuple[Tensor, Numbers]:
            batch = stacked(batches[step], self.stride)
            output = self.model.masked_prediction(batch, self._generator("best_rq", step))
            return output.loss, output.numbers

        origin, settings = self._made_of(later=("ctc",)), self.recipe.best_rq
        return Phase("best_rq", self.model, loss, settings, self.recipe.seed, origin, self._look_best_rq, self.crew)

    def ctc_phase(self) -> Phase:
        """Transcripts, with masked prediction beside them every few steps."""
        settings = self.recipe.ctc
        assert settings is not None
        needed = "transcribed clips long enough for CTC to align"
        rows = self._alignable()
        batches = SpeechBatches(self.stores["train"], rows, self.frames, self.recipe.seed + 1, needed, self.crew)

        def loss(step: int) -> tuple[Tensor, Numbers]:
            batch = stacked(batches[step], self.stride)
            heard = spec_augment(batch, self.recipe.spec_augment, self._generator("ctc", "augment", step))
            total = self.model.ctc_loss(heard, [self.targets[row] for row in batch.rows])
            numbers = {"ctc": float(total.detach())}
            if settings.self_supervised and step % settings.self_supervised_every == 0:
                output = self.model.masked_prediction(batch, self._generator("ctc", step))
                total, numbers = total + settings.self_supervised * output.loss, numbers | output.numbers
            return total, numbers

        origin = self._made_of()
        return Phase("ctc", self.model, loss, settings, self.recipe.seed, origin, self._look_ctc, self.crew)

    def _made_of(self, later: Sequence[str] = ()) -> dict[str, Any]:
        return made_of(self.recipe, self.tokenizer, self.corpus.description["audio"], later)

    def _generator(self, *keys: object) -> torch.Generator:
        return torch.Generator().manual_seed(hash_seed(self.recipe.seed, self.crew.rank, *keys) % 2**63)

    def _dev_batches(self, rows: Sequence[int]) -> list[SpeechBatch]:
        batches = SpeechBatches(self.stores["dev"], rows, self.frames, 0, "held-out clips to look at")
        order = sorted(rows, key=lambda row: self.stores["dev"].lengths[row])
        return [stacked(batches.collate(part), self.stride) for part in batches.in_batches(order)]

    def _look_best_rq(self) -> Numbers:
        batches = self._dev_batches(range(len(self.stores["dev"])))
        outputs = [self.model.masked_prediction(batch, self._generator("dev", n)) for n, batch in enumerate(batches)]
        means = [output.numbers | {"best_rq": float(output.loss)} for output in outputs]
        return {f"dev_{name}": sum(mean[name] for mean in means) / len(means) for name in means[0]}

    def _look_ctc(self) -> Numbers:
        """Greedy word error rate on what is transcribed of the dev part, targets that cannot be aligned included."""
        assert self.tokenizer is not None
        texts = self.texts["dev"]
        rows = [row for row, text in enumerate(texts) if text]
        if not rows:
            return self._look_best_rq()
        heard: dict[int, str] = {}
        for batch in self._dev_batches(rows):
            logits = self.model.ctc(batch.features, attention_mask=batch.mask).logits
            ids = greedy_ids(logits, batch.mask.sum(dim=1), self.tokenizer.pad_token_id)
            heard |= zip(batch.rows, self.tokenizer.batch_decode(ids, skip_special_tokens=True), strict=True)
        wer = score(["wer"], [heard[row] for row in rows], [texts[row] for row in rows])["wer"]
        return {"dev_wer": wer, **self._look_best_rq()}
