from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoFeatureExtractor, AutoModelForCTC, PreTrainedTokenizerFast

from speechverse.audio import save
from speechverse.audio.waveform import Waveform
from speechverse.encoders.ctc import load_ctc
from speechverse.errors import UserError
from speechverse.foundations import encoder as encoder_module
from speechverse.foundations.encoder import TwoObjectives, frames_needed, pretrain_encoder, spell
from speechverse.foundations.features import SpeechBatch, SpeechBatches, spec_augment, warped
from speechverse.foundations.recipe import (
    BestRqRecipe,
    ConformerShape,
    ConvShape,
    CtcPhase,
    EncoderData,
    EncoderRecipe,
    EncoderShape,
    PhaseSettings,
    SpecAugment,
    TokenizerRecipe,
)
from speechverse.types import AudioRef, Utterance

SHAPE = ConvShape(hidden_size=16, num_hidden_layers=2, intermediate_size=16)
CONFORMER = ConformerShape(
    body="conformer", hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=16
)
OBJECTIVE = BestRqRecipe(num_codebooks=2, codebook_size=8, code_width=4, mask_span=3)


def speech_batch(lengths: list[int]) -> SpeechBatch:
    mask = (torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]).long()
    return SpeechBatch(torch.randn(len(lengths), max(lengths), 320) * mask[..., None], mask, list(range(len(lengths))))


def test_frames_ctc_needs() -> None:
    assert frames_needed([5, 6, 7]) == 3
    assert frames_needed([5, 5, 7, 7]) == 6


def test_spelling_drops_spaces_and_takes_doubles_once() -> None:
    assert spell("add all") == spell("adal") == [1, 4, 1, 12]


@pytest.mark.parametrize("shape", [SHAPE, CONFORMER], ids=["conv", "conformer"])
def test_both_objectives_share_one_body(shape: EncoderShape, tokenizer: PreTrainedTokenizerFast) -> None:
    model = TwoObjectives(shape, OBJECTIVE, tokenizer)
    assert model.best_rq.body is model.ctc.base_model
    ctc, letters = model.ctc_losses(speech_batch([12, 9]), [[5, 6], [7]], [[1, 2], [3]], letters_layer=1)
    (ctc + letters).backward()
    low = model.low_parameters(1)
    assert 0 < len(low) < len(list(model.ctc.base_model.parameters()))
    assert all(parameter.grad is not None for parameter in low)


def test_warping_moves_lengths_within_bounds() -> None:
    batch = speech_batch([40, 20])
    for seed in range(10):
        moved = warped(batch, random.Random(seed), tempo=0.1)
        long, short = moved.mask.sum(dim=1).tolist()
        assert 36 <= long <= 44
        assert short == pytest.approx(long / 2, abs=1)
        assert moved.features.shape == (2, moved.mask.shape[1], 320)
        assert not moved.features[1, short:].any()
    assert warped(batch, random.Random(0), 0.0, 0.0).features.allclose(batch.features, atol=1e-5)


def test_spec_augment_hides_and_leaves_the_original_alone() -> None:
    batch = speech_batch([40])
    before = batch.features.clone()
    hidden = (spec_augment(batch, SpecAugment(), random.Random(0)).features == 0) & (before != 0)
    assert 0 < hidden.float().mean() < 0.8
    assert batch.features.equal(before)


def test_no_rows_to_batch_is_an_error_not_an_endless_loop() -> None:
    with pytest.raises(UserError, match=r"no short clips among the 2 clips.*data\.utterances"):
        SpeechBatches([0, 0], [], 100, seed=0, needed="short clips")


class NoiseCorpus:
    def __init__(self, folder: Path) -> None:
        rng = np.random.default_rng(0)
        texts = ["turn on the lamp", "tea", "", "the door is open"]
        self.parts = {
            part: [
                Utterance(f"{part}-{index}", AudioRef(self._write(folder / f"{part}{index}.flac", rng)), 1.5, text)
                for index, text in enumerate(texts)
            ]
            for part in ("train", "dev")
        }

    @staticmethod
    def _write(path: Path, rng: np.random.Generator) -> Path:
        return Path(save(path, Waveform(rng.normal(0, 0.1, 24_000).astype(np.float32), 16_000)))

    def utterances(self, part: str) -> list[Utterance]:
        return self.parts[part]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("encoder")
    settings = {"steps": 2, "learning_rate": 1e-3, "warmup_steps": 1}
    recipe = EncoderRecipe(
        kind="encoder",
        name="micro",
        tokenizer=TokenizerRecipe(vocab_size=500, sentences=100),
        shape=SHAPE,
        objective=OBJECTIVE,
        data=EncoderData(workers=1, batch_seconds=6),
        best_rq=PhaseSettings(**settings),
        ctc=CtcPhase(**settings, self_supervised_every=2, low_layers=1, letters_layer=1),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encoder_module, "_make_corpus", lambda recipe, output: NoiseCorpus(output))
        return pretrain_encoder(recipe, output)


def test_the_folder_loads_in_plain_transformers(made: Path) -> None:
    model, extractor = AutoModelForCTC.from_pretrained(made), AutoFeatureExtractor.from_pretrained(made)
    assert model.dtype == torch.float32
    inputs = extractor(np.zeros(16_000, np.float32) + 0.01, sampling_rate=16_000, return_tensors="pt")
    assert model(**inputs).logits.shape[-1] == model.config.vocab_size


def test_the_head_transcribes_through_the_framework(made: Path) -> None:
    texts = load_ctc(made).transcribe([np.random.default_rng(0).normal(0, 0.1, 16_000).astype(np.float32)])
    assert isinstance(texts[0], str)


def test_card_and_figures_are_beside_it(made: Path) -> None:
    assert "dev_wer" in (made / "README.md").read_text()
    assert (made / "figures.json").stat().st_size > 10
