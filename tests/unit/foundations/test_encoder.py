from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoFeatureExtractor, AutoModel, AutoModelForCTC, PreTrainedTokenizerFast

from speechverse.audio import save
from speechverse.audio.waveform import Waveform
from speechverse.encoders import load_encoder
from speechverse.encoders.best_rq import BestRqConfig
from speechverse.encoders.ctc import load_ctc
from speechverse.errors import CheckpointError, RecipeError, UserError
from speechverse.foundations import encoder as encoder_module
from speechverse.foundations.augment import Augmenter, reverberated, spec_augment, warped, with_noise
from speechverse.foundations.beginnings import SHARPNESS
from speechverse.foundations.encoder import prepare_encoder, pretrain_encoder
from speechverse.foundations.features import MelBatch, SpeechBatch, SpeechBatches, front_end, stacked
from speechverse.foundations.lm import pretrain_lm
from speechverse.foundations.lm_model import make_lm
from speechverse.foundations.objectives import UNKNOWN, Objectives, ctc_loss, frames_needed, spell
from speechverse.foundations.recipe import (
    Augmentation,
    ConformerShape,
    ConvShape,
    CtcPhase,
    EncoderData,
    EncoderRecipe,
    EncoderShape,
    LmData,
    LmRecipe,
    LmShape,
    PhaseSettings,
    TokenizerRecipe,
)
from speechverse.foundations.world import world_tokenizer
from speechverse.types import AudioRef, Utterance

SHAPE = ConvShape(hidden_size=16, num_hidden_layers=2, intermediate_size=16)
CONFORMER = ConformerShape(
    body="conformer", hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=16
)
OBJECTIVE = BestRqConfig(num_codebooks=2, codebook_size=8, code_width=4, mask_span=3)


def speech_batch(lengths: list[int]) -> SpeechBatch:
    mask = (torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]).long()
    return SpeechBatch(torch.randn(len(lengths), max(lengths), 320) * mask[..., None], mask, list(range(len(lengths))))


def test_frames_ctc_needs() -> None:
    assert frames_needed([5, 6, 7]) == 3
    assert frames_needed([5, 5, 7, 7]) == 6


def test_spelling_drops_spaces_and_takes_doubles_once() -> None:
    assert spell("add all") == spell("adal") == [1, 4, 1, 12]


@pytest.mark.parametrize("shape", [SHAPE, CONFORMER], ids=["conv", "conformer"])
def test_all_objectives_share_one_body(shape: EncoderShape, tokenizer: PreTrainedTokenizerFast) -> None:
    model = Objectives(shape, OBJECTIVE, tokenizer, {"accent": 2})
    assert model.best_rq.body is model.ctc.base_model
    voice = {"accent": torch.tensor([1, UNKNOWN])}
    losses = model.ctc_losses(speech_batch([12, 9]), [[5, 6], [7]], [[1, 2], [3]], voice, 1, 1)
    torch.stack(list(losses.values())).sum().backward()
    body = model.ctc.base_model
    low = [*body.feature_projection.parameters(), *body.encoder.layers[0].parameters()]
    assert all(parameter.grad is not None for parameter in low)


def test_a_clip_without_its_label_teaches_no_voice(tokenizer: PreTrainedTokenizerFast) -> None:
    model = Objectives(SHAPE, OBJECTIVE, tokenizer, {"accent": 2})
    losses = model.ctc_losses(speech_batch([12]), [[5]], [[1]], {"accent": torch.tensor([UNKNOWN])}, 1, 1)
    assert losses["voice"] == 0


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


def mel_batch(lengths: list[int]) -> MelBatch:
    mels = torch.randn(len(lengths), max(lengths), 80, generator=torch.Generator().manual_seed(1))
    return MelBatch(mels, torch.tensor(lengths), list(range(len(lengths))))


def test_warping_moves_each_row_within_bounds() -> None:
    batch, ratios = mel_batch([160, 80]), set()
    for seed in range(10):
        moved = warped(batch, torch.Generator().manual_seed(seed), tempo=0.1, tract=0.1)
        long, short = moved.lengths.tolist()
        assert 144 <= long <= 176
        assert 72 <= short <= 88
        ratios.add(long / short)
        assert moved.mels.shape == (2, max(long, short), 80)
    assert len(ratios) > 5
    same = warped(batch, torch.Generator(), 0.0, 0.0)
    assert same.mels[0].allclose(batch.mels[0], atol=1e-4)
    assert same.mels[1, :80].allclose(batch.mels[1, :80], atol=1e-4)


def test_a_longer_tract_moves_a_tone_by_its_share() -> None:
    make = front_end(stride=1)
    time = np.arange(16_000) / 16_000
    mels = [make.log_mel(torch.from_numpy(np.sin(2 * np.pi * hz * time).astype(np.float32))) for hz in (1000, 1200)]
    batch = MelBatch(mels[0][None], torch.tensor([len(mels[0])]), [0])
    peaks = {int(warped(batch, torch.Generator().manual_seed(s), 0.0, 0.2).mels[0].mean(0).argmax()) for s in range(40)}
    highest = int(mels[1].mean(0).argmax())
    assert abs(max(peaks) - highest) <= 2
    assert min(peaks) < int(mels[0].mean(0).argmax()) < max(peaks)


def test_noise_comes_at_the_ratio_asked_for() -> None:
    batch = mel_batch([50])
    noise = torch.randn(1, 50, 80, generator=torch.Generator().manual_seed(2)) - 7
    for snr in (0.0, 10.0, 20.0):
        noisy = with_noise(batch.mels, noise, batch.mask, torch.tensor([snr]))
        speech, added = batch.mels.exp().sum(), (noisy.exp() - batch.mels.exp()).sum()
        assert float(10 * (speech / added).log10()) == pytest.approx(snr, abs=0.1)


def test_a_room_lasts_as_long_as_asked_for() -> None:
    mels = torch.full((1, 40, 80), -15.0)
    mels[:, 5] = 10.0
    heard = reverberated(mels, torch.tensor([0.3]), torch.tensor([0.1]))
    assert heard[:, :6].allclose(mels[:, :6], atol=0.3)
    fall = (heard[0, 6, 0] - heard[0, 16, 0]) * 10 / np.log(10)
    assert float(fall) == pytest.approx(60 * 10 / 30, abs=0.5)


def test_augmentation_is_drawn_from_the_generator_and_does_not_touch_the_batch() -> None:
    batch = mel_batch([60, 44])
    before = batch.mels.clone()
    everything = Augmentation(room_share=1.0, noise_share=1.0)
    augment = Augmenter(everything, [torch.zeros(30, 80)], noises=[0])
    once, again, other = (augment(batch, torch.Generator().manual_seed(seed)) for seed in (3, 3, 4))
    assert once.mels.equal(again.mels)
    assert once.mels.shape != other.mels.shape or not once.mels.equal(other.mels)
    assert batch.mels.equal(before)


def test_spec_augment_hides_and_leaves_the_original_alone() -> None:
    batch = speech_batch([40])
    before = batch.features.clone()
    hidden = (spec_augment(batch, Augmentation(), torch.Generator().manual_seed(1)).features == 0) & (before != 0)
    assert 0 < hidden.float().mean() < 0.8
    assert batch.features.equal(before)


def test_no_rows_to_batch_is_an_error_not_an_endless_loop() -> None:
    with pytest.raises(UserError, match=r"no short clips among the 2 clips.*data\.utterances"):
        SpeechBatches([0, 0], [], 100, seed=0, needed="short clips")


class NoiseCorpus:
    def __init__(self, folder: Path) -> None:
        rng = np.random.default_rng(0)
        texts = ["turn on the lamp", "tea", "", "the door is open"]
        labels = [
            {"stratum": "grammar", "emotion": "sad"},
            {"stratum": "names", "emotion": "happy"},
            {"emotion": "sad"},
            {"stratum": "grammar", "emotion": "happy"},
        ]
        self.parts = {
            part: [
                Utterance(
                    f"{part}-{index}",
                    AudioRef(self._write(folder / f"{part}{index}.flac", rng)),
                    1.5,
                    text,
                    labels=labels[index],
                )
                for index, text in enumerate(texts)
            ]
            for part in ("train", "dev")
        }

    @staticmethod
    def _write(path: Path, rng: np.random.Generator) -> Path:
        return Path(save(path, Waveform(rng.normal(0, 0.1, 24_000).astype(np.float32), 16_000)))

    def utterances(self, part: str) -> list[Utterance]:
        return self.parts[part]


TWO_STEPS = {"steps": 2, "learning_rate": 1e-3, "warmup_steps": 1}
RECIPE = EncoderRecipe(
    kind="encoder",
    name="micro",
    tokenizer=TokenizerRecipe(vocab_size=500, sentences=100),
    shape=SHAPE,
    objective=OBJECTIVE,
    data=EncoderData(workers=1, batch_seconds=6),
    best_rq=PhaseSettings(**TWO_STEPS),
    ctc=CtcPhase(**TWO_STEPS, self_supervised_every=2, letters_layer=1, voice=0.3, voice_layer=1),
)


def make(recipe: EncoderRecipe, output: Path) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encoder_module, "_make_corpus", lambda recipe, output: NoiseCorpus(output))
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
    assert "dev_wer" in card
    assert "| grammar | no | 2 |" in card
    assert [kind["num_clips"] for kind in figures["recognition"]] == [2, 1]
    assert "### BEST-RQ alone" in card and "### with CTC" in card
    assert [table["layers"] for table in figures["probes"]] == [["log-mel", "1", "2"]] * 2


def test_the_body_before_ctc_is_kept_to_compare_with(made: Path) -> None:
    before, after = load_encoder(made.parent / "encoder-best-rq"), load_encoder(made)
    inputs = after.prepare([np.random.default_rng(0).normal(0, 0.1, 16_000).astype(np.float32)])
    assert before(**dict(inputs)).hidden_states.shape == after(**dict(inputs)).hidden_states.shape
    assert not before(**dict(inputs)).hidden_states.equal(after(**dict(inputs)).hidden_states)
    assert "before CTC" in (made.parent / "encoder-best-rq" / "README.md").read_text()


def speaking(made: Path, llm: Path) -> EncoderRecipe:
    """A run that goes on from another and speaks an LLM's embeddings."""
    assert RECIPE.ctc is not None
    ctc = RECIPE.ctc.model_copy(update={"embeddings": str(llm)})
    best_rq = PhaseSettings(steps=0, learning_rate=1e-3, warmup_steps=0)
    return RECIPE.model_copy(update={"initial": str(made), "best_rq": best_rq, "ctc": ctc})


@pytest.fixture
def llm(tmp_path: Path) -> Path:
    tokenizer = world_tokenizer(RECIPE.tokenizer)
    shape = LmShape(width=SHAPE.hidden_size, encoder_layers=1, decoder_layers=1, heads=2, feed_forward=16)
    make_lm(shape, tokenizer).save_pretrained(tmp_path / "llm")
    tokenizer.save_pretrained(tmp_path / "llm")
    return tmp_path / "llm"


def test_a_run_goes_on_from_another_and_speaks_an_llms_embeddings(made: Path, llm: Path, tmp_path: Path) -> None:
    after = AutoModelForCTC.from_pretrained(make(speaking(made, llm), tmp_path / "later"))
    table = AutoModel.from_pretrained(llm).get_input_embeddings().weight
    with torch.inference_mode():
        heard = after.base_model(torch.randn(1, 9, 320)).last_hidden_state
        logits, cosines = after.lm_head(heard) - after.lm_head.bias, torch.nn.functional.cosine_similarity
        expected = SHARPNESS * cosines(heard[:, :, None], table[1:], dim=-1)
    torch.testing.assert_close(logits[..., 1:], expected, atol=0.05, rtol=0.01)
    blank, other = after.lm_head.weight.detach()[:2].norm(dim=1).tolist()
    assert blank == pytest.approx(other, rel=0.01)
    before = AutoModelForCTC.from_pretrained(made).base_model.state_dict()
    moved = [(after.base_model.state_dict()[name] - weight).abs().max() for name, weight in before.items()]
    assert 0 < max(moved) < 0.05
    card = (tmp_path / "later" / "encoder" / "README.md").read_text()
    assert "Begun with the weights of a finished run" in card and "embeddings of an LLM" in card
    assert not (tmp_path / "later" / "encoder-best-rq").exists()


def test_both_parts_go_on_from_an_llms_first_steps_with_its_embeddings_kept(
    made: Path, llm: Path, tmp_path: Path
) -> None:
    goes_on = LmRecipe(
        kind="lm",
        name="later",
        initial=str(llm),
        freeze_embeddings=True,
        tokenizer=RECIPE.tokenizer,
        shape=LmShape(width=SHAPE.hidden_size, encoder_layers=1, decoder_layers=1, heads=2, feed_forward=16),
        data=LmData(sentences=200, batch_tokens=400, gate_examples=1),
        training=PhaseSettings(steps=2, learning_rate=1e-3, warmup_steps=0),
    )
    finished = AutoModel.from_pretrained(pretrain_lm(goes_on, tmp_path / "lm"))
    encoder = AutoModelForCTC.from_pretrained(make(speaking(made, llm), tmp_path / "encoder"))
    table, head = finished.get_input_embeddings().weight, encoder.lm_head.weight
    assert torch.nn.functional.cosine_similarity(table[1:], head[1:], dim=-1).min() > 0.9999


def test_speech_made_ahead_is_what_the_run_hears(made: Path, tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encoder_module, "_make_corpus", lambda recipe, output: NoiseCorpus(output))
        prepare_encoder(RECIPE, tmp_path)
    assert not (tmp_path / "best_rq").exists() and not (tmp_path / "encoder").exists()
    ahead = (tmp_path / "features/train/mels.f16").stat()
    made_at_once = (made / "model.safetensors").read_bytes()
    assert (make(RECIPE, tmp_path) / "model.safetensors").read_bytes() == made_at_once
    assert (tmp_path / "features/train/mels.f16").stat().st_mtime_ns == ahead.st_mtime_ns


def test_a_run_does_not_begin_with_half_a_model(made: Path, llm: Path, tmp_path: Path) -> None:
    headless = speaking(made.parent / "encoder-best-rq", llm)
    with pytest.raises(CheckpointError, match=r"initial: .* lacks weights .* such as 'lm_head"):
        make(headless, tmp_path / "headless")


def test_embeddings_of_another_width_or_other_pieces_are_refused(made: Path, llm: Path, tmp_path: Path) -> None:
    recipe = speaking(made, llm)
    world_tokenizer(TokenizerRecipe(vocab_size=500, sentences=120, seed=1)).save_pretrained(llm)
    with pytest.raises(RecipeError, match=r"ctc\.embeddings: .* other pieces"):
        make(recipe, tmp_path / "pieces")
    with pytest.raises(RecipeError, match=r"ctc\.embeddings: .* and a width of"):
        wide = {"shape": SHAPE.model_copy(update={"hidden_size": 2 * SHAPE.hidden_size}), "initial": None}
        make(recipe.model_copy(update=wide), tmp_path / "wide")
