from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoFeatureExtractor, AutoModelForCTC

from speechverse.audio import save
from speechverse.audio.waveform import Waveform
from speechverse.data import Corpus
from speechverse.encoders.best_rq import BestRqConfig
from speechverse.encoders.ctc import load_ctc
from speechverse.errors import UserError
from speechverse.foundations import encoder as encoder_module
from speechverse.foundations.encoder import pretrain_encoder
from speechverse.foundations.features import MelBatch, SpeechBatch, SpeechBatches, front_end, stacked
from speechverse.foundations.objectives import Objectives, ctc_loss, frames_needed, spec_augment
from speechverse.foundations.pieces import learn_pieces
from speechverse.foundations.recipe import (
    ConformerShape,
    CtcPhase,
    EncoderData,
    EncoderRecipe,
    PhaseSettings,
    SpecAugment,
)
from speechverse.types import AudioRef, Utterance

SHAPE = ConformerShape(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=16)
OBJECTIVE = BestRqConfig(num_codebooks=2, codebook_size=8, code_width=4, mask_span=3)
TEXTS = ["turn on the lamp", "tea", "the door is open"]


def speech_batch(lengths: list[int]) -> SpeechBatch:
    mask = (torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]).long()
    return SpeechBatch(torch.randn(len(lengths), max(lengths), 320) * mask[..., None], mask, list(range(len(lengths))))


def test_frames_ctc_needs() -> None:
    assert frames_needed([5, 6, 7]) == 3
    assert frames_needed([5, 5, 7, 7]) == 6


def test_all_objectives_share_one_body() -> None:
    model = Objectives(SHAPE, OBJECTIVE, learn_pieces(TEXTS, 40))
    assert model.best_rq.body is model.ctc.base_model
    model.ctc_loss(speech_batch([12, 9]), [[5, 6], [7]]).backward()
    body = model.ctc.base_model
    low = [*body.feature_projection.parameters(), *body.encoder.layers[0].parameters()]
    assert all(parameter.grad is not None for parameter in low if parameter.requires_grad)


def test_pieces_come_back_as_they_were() -> None:
    for size in (20, 60):
        pieces = learn_pieces(TEXTS, size)
        assert pieces.pad_token_id == 0
        for text in ("turn on the lamp", "the tea"):
            assert pieces.decode(pieces(text)["input_ids"]) == text
    assert pieces("TEA")["input_ids"] == pieces("tea")["input_ids"]
    assert "<unk>" in pieces.tokenize("zoo")


def test_ctc_teaches_silence_where_nothing_is_said() -> None:
    logits = torch.zeros(1, 6, 4)
    logits[..., 0] = 5.0
    mask, louder = torch.ones(1, 6).long(), logits.roll(1, dims=-1)
    assert ctc_loss(logits, mask, [[]]) < 0.2 < ctc_loss(louder, mask, [[]])


def test_ctc_is_torch_s_in_value_and_gradient() -> None:
    torch.manual_seed(0)
    logits = torch.randn(5, 12, 40, requires_grad=True)
    mask = (torch.arange(12) < torch.tensor([[12], [7], [12], [12], [3]])).long()
    targets = [[3, 3, 9], [5, 4, 5], [], list(range(1, 13)), [7, 7, 7]]  # the last cannot be aligned
    found = ctc_loss(logits, mask, targets)
    found.backward()
    assert logits.grad is not None
    gradient, logits.grad = logits.grad.clone(), None
    flat, sizes = torch.tensor([unit for target in targets for unit in target]), torch.tensor(list(map(len, targets)))
    scores = logits.log_softmax(dim=-1).transpose(0, 1)
    whole = torch.nn.functional.ctc_loss(
        scores, flat, mask.sum(dim=1), sizes, reduction="sum", zero_infinity=True
    ) / len(flat)
    whole.backward()
    torch.testing.assert_close(found, whole)
    torch.testing.assert_close(gradient, logits.grad, atol=1e-6, rtol=1e-4)


def test_stacked_frames_are_what_the_front_end_gives() -> None:
    rng = np.random.default_rng(0)
    sounds = [rng.normal(0, 0.1, size).astype(np.float32) for size in (16_000, 7_003, 9_999)]
    make = front_end(stride=4)
    expected = make.prepare(sounds)
    mels = [make.log_mel(torch.from_numpy(sound)) for sound in sounds]
    lengths = torch.tensor([len(mel) for mel in mels])
    batch = stacked(MelBatch(torch.nn.utils.rnn.pad_sequence(mels, batch_first=True), lengths, [0, 1, 2]), stride=4)
    assert batch.mask.sum(dim=1).equal(expected["frame_lengths"])
    assert batch.features.allclose(expected["input_features"], atol=1e-4)


def test_spec_augment_hides_and_leaves_the_original_alone() -> None:
    batch = speech_batch([40])
    before = batch.features.clone()
    hidden = (spec_augment(batch, SpecAugment(), torch.Generator().manual_seed(1)).features == 0) & (before != 0)
    assert 0 < hidden.float().mean() < 0.8
    assert batch.features.equal(before)


def test_no_rows_to_batch_is_an_error_not_an_endless_loop() -> None:
    with pytest.raises(UserError, match="no short clips among the 2 clips.*give more audio"):
        SpeechBatches([0, 0], [], 100, seed=0, needed="short clips")


def noise_corpus(folder: Path) -> Corpus:
    rng = np.random.default_rng(0)

    def clip(name: str, text: str) -> Utterance:
        sound = Waveform(rng.normal(0, 0.1, 24_000).astype(np.float32), 16_000)
        return Utterance(name, AudioRef(Path(save(folder / f"{name}.flac", sound))), 1.5, text)

    splits = {part: [clip(f"{part}-{n}", text) for n, text in enumerate(TEXTS)] for part in ("train", "dev")}
    return Corpus("noise", {}, {"audio": "noise", "hours": 0.01}, {}, splits)


TWO_STEPS = {"steps": 2, "learning_rate": 1e-3, "warmup_steps": 1}
RECIPE = EncoderRecipe(
    name="micro",
    shape=SHAPE,
    objective=OBJECTIVE,
    data=EncoderData(workers=1, batch_seconds=6),
    best_rq=PhaseSettings(**TWO_STEPS),
    ctc=CtcPhase(**TWO_STEPS, vocab_size=40, self_supervised_every=2),
)


def make(recipe: EncoderRecipe, output: Path) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encoder_module, "own_corpus", lambda data, output, with_words: noise_corpus(output))
        return pretrain_encoder(recipe, output)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(RECIPE, tmp_path_factory.mktemp("encoder"))


def test_the_folder_loads_in_plain_transformers(made: Path) -> None:
    model, extractor = AutoModelForCTC.from_pretrained(made), AutoFeatureExtractor.from_pretrained(made)
    assert model.dtype == torch.float32
    inputs = extractor(np.zeros(16_000, np.float32) + 0.01, sampling_rate=16_000, return_tensors="pt")
    assert model(**inputs).logits.shape[-1] == model.config.vocab_size


def test_the_head_transcribes_through_the_framework(made: Path) -> None:
    texts = load_ctc(made).transcribe([np.random.default_rng(0).normal(0, 0.1, 16_000).astype(np.float32)])
    assert isinstance(texts[0], str)


def test_card_and_figures_are_beside_it(made: Path) -> None:
    card, figures = (made / "README.md").read_text(), json.loads((made / "figures.json").read_text())
    assert "dev_wer" in card and "0.01 hours" in card and "2 steps of BEST-RQ, 2 steps of CTC" in card
    assert "dev_wer" in figures["history"][-1]
