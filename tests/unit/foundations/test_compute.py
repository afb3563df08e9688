"""The same numbers wherever a foundation is trained; a pretended device finds what would not be moved to a GPU."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from pretend_device import pretending

from speechverse.audio import Waveform, save
from speechverse.data import Corpus
from speechverse.encoders.best_rq import BestRqConfig, RandomProjectionQuantizer, masking
from speechverse.errors import RecipeError, UserError
from speechverse.foundations.compute import ON_CPU, Compute
from speechverse.foundations.encoder import EncoderTraining
from speechverse.foundations.features import SpeechBatch
from speechverse.foundations.objectives import Objectives
from speechverse.foundations.phases import made_of
from speechverse.foundations.pieces import learn_pieces
from speechverse.foundations.recipe import (
    ComputeSettings,
    ConformerShape,
    CtcPhase,
    EncoderData,
    EncoderRecipe,
    PhaseSettings,
)
from speechverse.types import AudioRef, Utterance

SHAPE = ConformerShape(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=16)
OBJECTIVE = BestRqConfig(num_codebooks=2, codebook_size=8, code_width=4, mask_span=3)
TEXTS = ["turn on the lamp", "tea", "the door is open", "play a song"]
PIECES = learn_pieces(TEXTS, 40)


class Roomy(Compute):
    """A device with room for all features."""

    def has_room_for(self, num_bytes: int) -> bool:
        return True


def noise_corpus(folder: Path) -> Corpus:
    """Clips of different lengths."""
    rng = np.random.default_rng(0)
    clips = []
    for index, text in enumerate(TEXTS):
        samples = rng.normal(0, 0.1, int(rng.integers(16_000, 28_000))).astype(np.float32)
        path = Path(save(folder / f"{index}.flac", Waveform(samples, 16_000)))
        clips.append(Utterance(str(index), AudioRef(path), len(samples) / 16_000, text))
    return Corpus("noise", {}, {"audio": "noise", "hours": 0.0}, {}, {"train": clips, "dev": clips})


def encoder_recipe(**compute: object) -> EncoderRecipe:
    settings = {"steps": 4, "learning_rate": 1e-3, "warmup_steps": 1}
    return EncoderRecipe(
        name="micro",
        shape=SHAPE,
        objective=OBJECTIVE,
        data=EncoderData(workers=1, batch_seconds=6),
        compute=ComputeSettings(**compute),
        best_rq=PhaseSettings(**settings),
        ctc=CtcPhase(**settings, vocab_size=40, self_supervised_every=2),
    )


def encoder_losses(folder: Path, compute: Compute) -> list[float]:
    torch.manual_seed(0)
    model = Objectives(SHAPE, OBJECTIVE, PIECES, compute)
    training = EncoderTraining(encoder_recipe(), model, PIECES, noise_corpus(folder), folder)
    losses = []
    for phase in (training.best_rq_phase(), training.ctc_phase()):
        for step in range(3):
            loss, _ = phase.loss(step)
            loss.backward()
            losses.append(float(loss.detach()))
        with torch.no_grad():
            losses += phase.evaluate().values()
    return losses


def test_a_tensor_left_behind_is_noticed() -> None:
    with pretending() as elsewhere:
        there = torch.ones(3).to(elsewhere)
        assert (there + torch.arange(3, device=elsewhere)).device == elsewhere
        assert (there * 2).cpu().tolist() == [2, 2, 2]
        with pytest.raises(RuntimeError, match="two devices"):
            there + torch.arange(3)


@pytest.mark.parametrize("kind", [Compute, Roomy], ids=["moved", "kept"])
def test_the_encoder_learns_the_same_on_another_device(
    kind: type[Compute], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(masking, "_on_device", lambda generator, device: generator)  # the pretended one has none
    here = encoder_losses(tmp_path, ON_CPU)
    with pretending() as elsewhere:
        there = encoder_losses(tmp_path, kind(elsewhere))
    assert there == pytest.approx(here, rel=1e-5)


def test_rounded_lengths_change_shapes_only() -> None:
    torch.manual_seed(0)
    mask = (torch.arange(13) < torch.tensor([[13], [9]])).long()
    batch = SpeechBatch(torch.randn(2, 13, 320) * mask[..., None], mask, [0, 1])
    model = Objectives(SHAPE, OBJECTIVE, PIECES).eval()
    losses = []
    for frames in (1, 8):
        model.compute = Compute(round_frames=frames)
        assert model.compute.padded(batch.features, mask)[1].shape == (2, 13 if frames == 1 else 16)
        losses.append(float(model.ctc_loss(batch, [[5, 6], [7]]).detach()))
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_half_precision_trains_and_leaves_targets_and_weights_alone(tmp_path: Path) -> None:
    whole, half = (encoder_losses(tmp_path, Compute(bf16=bf16)) for bf16 in (False, True))
    assert half[:3] == pytest.approx(whole[:3], rel=0.05)
    frames, quantizer = torch.randn(50, 320), RandomProjectionQuantizer(320, 2, 64, 16)
    with torch.autocast("cpu", torch.bfloat16):
        assert quantizer(frames).equal(quantizer(frames.double().float()))
        codes = quantizer(frames)
    assert codes.equal(quantizer(frames))


def test_a_device_or_precision_that_is_not_there_is_refused() -> None:
    with pytest.raises(UserError, match="no device 'cuda:99'"):
        Compute.of(ComputeSettings(device="cuda:99"))
    assert Compute.of(ComputeSettings(device="cpu", precision="fp32")) == ON_CPU


def test_a_processor_with_bf16_units_uses_them(monkeypatch: pytest.MonkeyPatch) -> None:
    for has_bf16 in (True, False):
        monkeypatch.setattr("speechverse.training.engine._has_bf16", lambda device, found=has_bf16: found)
        assert Compute.of(ComputeSettings(device="cpu")).bf16 == has_bf16


def test_bf16_without_units_for_it_names_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("speechverse.training.engine._has_bf16", lambda device: False)
    with pytest.raises(RecipeError, match=r"compute\.precision"):
        Compute.of(ComputeSettings(device="cpu", precision="bf16"))


def test_a_state_goes_on_elsewhere_but_not_in_another_precision() -> None:
    plain = made_of(encoder_recipe(), PIECES, "audio")
    assert made_of(encoder_recipe(device="cuda"), PIECES, "audio") == plain
    assert made_of(encoder_recipe(precision="bf16"), PIECES, "audio") != plain
    assert not any(key.startswith("compute") for key in plain)
