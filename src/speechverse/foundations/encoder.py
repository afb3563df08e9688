"""`speechverse pretrain encoder`: made speech or own audio, BEST-RQ, then CTC on the LLM's subwords, to a hub folder.

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
from speechverse.encoders import SpeechEncoder
from speechverse.encoders.ctc import greedy_ids
from speechverse.evaluation.recognition import recognition
from speechverse.files import only_run_in
from speechverse.foundations.augment import Augmenter, spec_augment
from speechverse.foundations.beginnings import begin_with, speak_embeddings
from speechverse.foundations.cards import body_card, encoder_card
from speechverse.foundations.compute import Compute
from speechverse.foundations.crew import ALONE, Crew
from speechverse.foundations.encoder_report import EncoderReport, as_saved, probed, recogniser_as_saved
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
from speechverse.foundations.objectives import Objectives
from speechverse.foundations.own_audio import own_corpus
from speechverse.foundations.phases import Numbers, Phase, made_of
from speechverse.foundations.recipe import CtcPhase, EncoderRecipe
from speechverse.foundations.saving import save_foundation
from speechverse.foundations.supervision import VOICE_CLASSES, Supervision
from speechverse.foundations.text_side import SPOKEN_STRATA
from speechverse.foundations.world import world_tokenizer
from speechverse.metrics import score
from speechverse.seeding import hash_seed
from speechverse.synth import SynthSpec, synthesize_corpus
from speechverse.training.logs import Progress
from speechverse.training.memory import keep_freed_memory
from speechverse.types import Seconds

_PARTS = ("train", "dev")


def pretrain_encoder(recipe: EncoderRecipe, output: Path) -> Path:
    """Makes the encoder, or goes on making it.

    Args:
        recipe: Sizes, data and steps.
        output: The run's folder: corpus, features, states, logs, and at the end `encoder/`, and beside it, where there
            is CTC after BEST-RQ, `encoder-best-rq/`, the body as it was before.

    Returns:
        The folder that transformers loads.

    Raises:
        CheckpointError: If what the run should begin with, or whose embeddings it should speak, cannot be loaded.
        RecipeError: If that is of another shape.
    """
    keep_freed_memory()
    crew = Crew.join(cpu=recipe.compute.device == "cpu")
    with only_run_in(output) if crew.leads else nullcontext():
        tokenizer = world_tokenizer(recipe.tokenizer) if recipe.ctc else None
        torch.manual_seed(hash_seed(recipe.seed, "encoder") % 2**63)
        sizes = {field: len(classes) for field, classes in VOICE_CLASSES.items()}
        model = Objectives(recipe.shape, recipe.objective, tokenizer, sizes, Compute.of(recipe.compute))
        _begin(model, recipe, tokenizer)
        if not crew.leads:
            crew.wait()
        training = EncoderTraining(recipe, model, tokenizer, _make_corpus(recipe, output), output, crew)
        if crew.leads:
            crew.wait()
        looks = training.best_rq_phase().run(output)
        best_rq = as_saved(model.body, front_end(recipe.shape.stride)) if recipe.best_rq.steps else None
        later = training.ctc_phase().run(output) if recipe.ctc else []
        if crew.leads:
            _save(output, training, best_rq, looks, later)
        crew.wait()
        return output / "encoder"


def _begin(model: Objectives, recipe: EncoderRecipe, tokenizer: PreTrainedTokenizerFast | None) -> None:
    if recipe.initial is not None:
        begin_with(model.body if model.ctc is None else model.ctc, recipe.initial)
    if recipe.ctc is not None and recipe.ctc.embeddings is not None:
        speak_embeddings(model.ctc, recipe.ctc.embeddings, tokenizer)


def _save(
    output: Path, training: EncoderTraining, best_rq: SpeechEncoder | None, looks: list[Numbers], later: list[Numbers]
) -> None:
    """Writes the folders.

    Args:
        output: The run's folder.
        training: The finished run.
        best_rq: The body before CTC; None where this run did not make one.
        looks: At the dev part, during BEST-RQ.
        later: And during CTC.
    """
    recipe, ctc, report = training.recipe, training.model.ctc, _report(training, best_rq)
    figures, hours, hears = report.figures(), training.own_hours, front_end(recipe.shape.stride)
    history, probes = looks + later, {"probes": figures["probes"]}
    if training.tokenizer is None:
        body = training.model.body
        card = body_card(recipe, body, looks, report, hours)
        save_foundation(output / "encoder", body, None, card, {"history": history, **probes}, hears)
        return
    if best_rq is not None:
        card = body_card(recipe, best_rq.model, looks, report, hours)
        save_foundation(output / "encoder-best-rq", best_rq.model, None, card, probes, hears)
    card = encoder_card(recipe, ctc, history, training.targets["train"].infeasible, report, hours)
    save_foundation(output / "encoder", ctc, training.tokenizer, card, {"history": history, **figures}, hears)


def _report(training: EncoderTraining, best_rq: SpeechEncoder | None) -> EncoderReport:
    recipe, corpus, ctc = training.recipe, training.corpus, training.model.ctc
    hears = front_end(recipe.shape.stride)
    if recipe.data.audio:
        return EncoderReport([], [])
    bodies = {"BEST-RQ alone": best_rq} if best_rq else {}
    bodies |= {"with CTC": as_saved(ctc.base_model, hears)} if ctc else {}
    tables = [probed(name, encoder, corpus, recipe.data.probe_clips) for name, encoder in bodies.items()]
    if training.tokenizer is None:
        return EncoderReport([], [table for table in tables if table])
    heard = recognition(recogniser_as_saved(ctc, hears, training.tokenizer), corpus.utterances("dev"))
    return EncoderReport(heard, [table for table in tables if table])


def _make_corpus(recipe: EncoderRecipe, output: Path) -> Corpus:
    data = recipe.data
    if data.own:
        return own_corpus(data, output, with_words=recipe.ctc is not None)
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


def prepare_encoder(recipe: EncoderRecipe, output: Path) -> Path:
    """Makes what the encoder will hear, speech and features, and trains nothing; the run itself goes on from there.

    Returns:
        The corpus' folder.
    """
    with only_run_in(output):
        corpus = _make_corpus(recipe, output)
        for part in _PARTS:
            _features(corpus, part, recipe, output)
    return output / "corpus"


def _features(corpus: Corpus, part: str, recipe: EncoderRecipe, output: Path) -> FeatureStore:
    return make_features(list(corpus.utterances(part)), output / "features" / part, recipe.data.workers)


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
        self.own_hours: float | None = corpus.description["hours"] if recipe.data.own else None
        self.stride = recipe.shape.stride
        self.stores: dict[str, FeatureStore] = {}
        self.targets: dict[str, Supervision] = {}
        for part in _PARTS:
            store = _features(corpus, part, recipe, output)
            lengths = stacked_lengths(torch.tensor(store.lengths), self.stride).tolist()
            self.stores[part] = store.serve(model.compute)
            self.targets[part] = Supervision(list(corpus.utterances(part)), lengths, tokenizer, recipe.augment.tempo)
        self.augment = Augmenter(recipe.augment, self.stores["train"], self.targets["train"].silent)
        calm = recipe.augment.model_copy(update={"room_share": 0.0, "noise_share": 0.0})
        self.calm_augment = Augmenter(calm, self.stores["train"], [])
        self.frames = round(recipe.data.batch_seconds * MEL_FRAME_RATE)

    def best_rq_phase(self) -> Phase:
        """Masked prediction on everything, non-speech too."""
        longest = self.recipe.data.max_seconds * MEL_FRAME_RATE
        rows = [row for row, length in enumerate(self.stores["train"].lengths) if length <= longest]
        needed = f"clips of at most {self.recipe.data.max_seconds:g} s (data.max_seconds)"
        batches = SpeechBatches(self.stores["train"], rows, self.frames, self.recipe.seed, needed, self.crew)

        def loss(step: int) -> tuple[Tensor, Numbers]:
            batch = stacked(self.augment(batches[step], self._generator("best_rq", "augment", step)), self.stride)
            output = self.model.named(batch, self._generator("best_rq", step))
            return output.loss, output.numbers

        origin = self._made_of(later=("ctc",))
        return Phase(
            "best_rq",
            self.model,
            loss,
            self.recipe.best_rq,
            self.recipe.seed,
            origin,
            self._look_best_rq,
            self.crew,
        )

    def ctc_phase(self) -> Phase:
        """Transcripts, with masked prediction beside them every few steps."""
        settings = self.recipe.ctc
        assert settings is not None
        needed = "transcribed clips long enough for CTC to align"
        usable = self.targets["train"].usable
        batches = SpeechBatches(self.stores["train"], usable, self.frames, self.recipe.seed + 1, needed, self.crew)
        easy = self._easy_batches(settings.easy_seconds) if settings.easy_steps else batches

        def loss(step: int) -> tuple[Tensor, Numbers]:
            if step < settings.easy_steps:
                return self._ctc_loss(stacked(easy[step], self.stride), settings)
            generator = self._generator("ctc", "augment", step)
            calm = settings.calm_from is not None and step >= settings.calm_from
            augment = self.calm_augment if calm else self.augment
            batch = stacked(augment(batches[step], generator), self.stride)
            heard = batch if calm else spec_augment(batch, self.recipe.augment, generator)
            total, numbers = self._ctc_loss(heard, settings)
            if settings.self_supervised and step % settings.self_supervised_every == 0:
                output = self.model.named(batch, self._generator("ctc", step))
                total, numbers = total + settings.self_supervised * output.loss, numbers | output.numbers
            return total, numbers

        origin = self._made_of()
        return Phase(
            "ctc",
            self.model,
            loss,
            settings,
            self.recipe.seed,
            origin,
            self._look_ctc,
            self.crew,
        )

    def _made_of(self, later: Sequence[str] = ()) -> dict[str, Any]:
        audio = self.corpus.description["audio"] if self.recipe.data.own else None
        return made_of(self.recipe, self.tokenizer, later, audio)

    def _ctc_loss(self, batch: SpeechBatch, settings: CtcPhase) -> tuple[Tensor, Numbers]:
        targets = self.targets["train"]
        pieces, letters = ([units[row] for row in batch.rows] for units in (targets.ids, targets.letters))
        voices = targets.voices(batch.rows)
        losses = self.model.ctc_losses(batch, pieces, letters, voices, settings.letters_layer, settings.voice_layer)
        total = losses["ctc"] + settings.letters * losses["letters"] + settings.voice * losses["voice"]
        return total, {name: float(loss.detach()) for name, loss in losses.items()}

    def _easy_batches(self, seconds: Seconds) -> SpeechBatches:
        needed = f"clean clips of one speaker of at most {seconds:g} s (ctc.easy_seconds, for ctc.easy_steps)"
        rows = self.targets["train"].easy(seconds)
        return SpeechBatches(self.stores["train"], rows, self.frames, self.recipe.seed + 2, needed, self.crew)

    def _generator(self, *keys: object) -> torch.Generator:
        return torch.Generator().manual_seed(hash_seed(self.recipe.seed, self.crew.rank, *keys) % 2**63)

    def _dev_batches(self, rows: Sequence[int]) -> list[SpeechBatch]:
        batches = SpeechBatches(self.stores["dev"], rows, self.frames, 0, "held-out clips to look at")
        order = sorted(rows, key=lambda row: self.stores["dev"].lengths[row])
        return [stacked(batches.collate(part), self.stride) for part in batches.in_batches(order)]

    def _look_best_rq(self) -> Numbers:
        batches = self._dev_batches(range(len(self.stores["dev"])))
        outputs = [self.model.named(batch, self._generator("dev", n)) for n, batch in enumerate(batches)]
        means = [output.numbers | {"best_rq": float(output.loss)} for output in outputs]
        return {f"dev_{name}": sum(mean[name] for mean in means) / len(means) for name in means[0]}

    def _look_ctc(self) -> Numbers:
        """Greedy word error rate on what is transcribed of the dev part, targets that cannot be aligned included."""
        assert self.tokenizer is not None
        targets = self.targets["dev"]
        rows = [row for row, text in enumerate(targets.texts) if text]
        if not rows:
            return self._look_best_rq()
        heard: dict[int, str] = {}
        for batch in self._dev_batches(rows):
            logits = self.model.ctc(batch.features, attention_mask=batch.mask).logits
            ids = greedy_ids(logits, batch.mask.sum(dim=1), self.tokenizer.pad_token_id)
            heard |= zip(batch.rows, self.tokenizer.batch_decode(ids, skip_special_tokens=True), strict=True)
        wer = score(["wer"], [heard[row] for row in rows], [targets.texts[row] for row in rows])["wer"]
        return {"dev_wer": wer, **self._look_best_rq()}
