from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest
import torch
from torch import nn

from speechverse.errors import CheckpointError, SpeechverseError, UserError
from speechverse.foundations.phases import Phase, made_of
from speechverse.foundations.pieces import learn_pieces
from speechverse.foundations.recipe import ConformerShape, EncoderRecipe, PhaseSettings
from speechverse.training.state import load_state, save_state

SETTINGS = PhaseSettings(steps=12, learning_rate=0.1, warmup_steps=2, log_every=1, evaluate_every=5, save_every=4)


class Killed(Exception):
    pass


def make_phase(
    kill_at: int | None = None, settings: PhaseSettings = SETTINGS, stop_at: int | None = None, **origin: object
) -> Phase:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(3, 3), nn.Dropout(0.3), nn.Linear(3, 1))

    def loss(step: int) -> tuple[torch.Tensor, dict[str, float]]:
        if step == kill_at:
            raise Killed
        if step == stop_at:
            os.kill(os.getpid(), signal.SIGINT)
        data = torch.randn(4, 3, generator=torch.Generator().manual_seed(step))
        return module(data).square().mean(), {}

    origin = {**settings.model_dump(), **origin}
    return Phase("toy", module, loss, settings, 0, origin, lambda: {"weight": float(module[0].weight.sum())})


def weights(phase: Phase) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in phase.module.parameters()])


def test_killed_and_resumed_is_the_run_that_was_never_stopped(tmp_path: Path) -> None:
    whole = make_phase()
    whole.run(tmp_path / "whole")
    with pytest.raises(Killed):
        make_phase(kill_at=7).run(tmp_path / "killed")
    resumed = make_phase()
    resumed.run(tmp_path / "killed")
    assert torch.equal(weights(whole), weights(resumed))
    assert whole.history == resumed.history
    assert [entry["step"] for entry in whole.history] == [5, 10, 12]
    steps = [json.loads(line) for line in (tmp_path / "killed/logs/toy/metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in steps if "loss" in line] == list(range(1, 13))


def test_a_finished_phase_is_loaded_not_trained(tmp_path: Path) -> None:
    done = make_phase()
    done.run(tmp_path)
    again = make_phase(kill_at=0)
    again.run(tmp_path)
    assert torch.equal(weights(done), weights(again))
    assert again.history == done.history


def test_another_recipe_is_refused_and_what_differs_is_named(tmp_path: Path) -> None:
    make_phase(seed=0).run(tmp_path)
    with pytest.raises(UserError, match=r"another recipe \(seed 0 there, 1 now; steps 12 there, 20 now\).*--output"):
        make_phase(settings=SETTINGS.model_copy(update={"steps": 20}), seed=1).run(tmp_path)


def test_a_phase_is_made_of_the_recipe_the_audio_and_the_pieces() -> None:
    recipe, pieces = EncoderRecipe(name="x", best_rq=SETTINGS), learn_pieces(["tea and rain"], 40)
    origin = made_of(recipe, pieces, "audio")
    changes = {"seed": 1, "shape": ConformerShape(hidden_size=8), "name": "y"}
    changed = {key: made_of(recipe.model_copy(update={key: value}), pieces, "audio") for key, value in changes.items()}
    assert {key for key, other in changed.items() if other != origin} == {"seed", "shape"}
    assert made_of(recipe, learn_pieces(["snow"], 40), "audio") != origin != made_of(recipe, pieces, "other audio")
    assert made_of(recipe, pieces, "audio", later=["best_rq"]).keys() < origin.keys()


def test_weights_that_are_not_whole_are_refused(tmp_path: Path) -> None:
    make_phase().run(tmp_path)
    state = load_state(tmp_path / "toy")
    del state.tensors["model"]["0.bias"]
    save_state(tmp_path / "toy", info=state.info, tensors=state.tensors, objects=state.objects)
    with pytest.raises(CheckpointError, match=r"'0\.bias'"):
        make_phase().run(tmp_path)


@pytest.mark.parametrize("step", [6, 11])
def test_ctrl_c_saves_says_how_to_go_on_and_interrupts(
    tmp_path: Path, step: int, capsys: pytest.CaptureFixture
) -> None:
    with pytest.raises(KeyboardInterrupt):
        make_phase(stop_at=step).run(tmp_path)
    assert f"after step {step + 1} of 12" in (said := capsys.readouterr().err) and "the same command goes on" in said
    assert load_state(tmp_path / "toy").info["step"] == step + 1


def test_a_kill_between_the_two_renames_begins_nothing_anew(tmp_path: Path) -> None:
    whole = make_phase()
    whole.run(tmp_path / "whole")
    with pytest.raises(Killed):
        make_phase(kill_at=7).run(tmp_path / "killed")
    os.replace(tmp_path / "killed/toy", tmp_path / "killed/.toy.old")
    resumed, trained = make_phase(), []
    loss = resumed.loss
    resumed.loss = lambda step: trained.append(step) or loss(step)
    resumed.run(tmp_path / "killed")
    assert trained == list(range(4, 12))
    assert torch.equal(weights(whole), weights(resumed))


def test_a_run_that_diverges_ends_and_keeps_its_last_state(tmp_path: Path) -> None:
    phase = make_phase()
    loss = phase.loss
    phase.loss = lambda step: (loss(step)[0] * (float("nan") if step == 6 else 1.0), {})
    with pytest.raises(SpeechverseError, match=r"'toy', step 7: .*diverged.*lower learning_rate \(now 0\.1\)"):
        phase.run(tmp_path)
    kept = load_state(tmp_path / "toy")
    assert kept.info["step"] == 4 and all(tensor.isfinite().all() for tensor in kept.tensors["model"].values())
    assert all(parameter.isfinite().all() for parameter in phase.module.parameters())
