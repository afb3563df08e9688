from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from speechverse.errors import UserError
from speechverse.foundations.phases import Phase
from speechverse.foundations.recipe import PhaseSettings

SETTINGS = PhaseSettings(steps=12, learning_rate=0.1, warmup_steps=2, log_every=1, evaluate_every=5, save_every=4)


class Killed(Exception):
    pass


def make_phase(kill_at: int | None = None, settings: PhaseSettings = SETTINGS) -> Phase:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(3, 3), nn.Dropout(0.3), nn.Linear(3, 1))

    def loss(step: int) -> tuple[torch.Tensor, dict[str, float]]:
        if step == kill_at:
            raise Killed
        data = torch.randn(4, 3, generator=torch.Generator().manual_seed(step))
        return module(data).square().mean(), {}

    return Phase("toy", module, loss, settings, seed=0, evaluate=lambda: {"weight": float(module[0].weight.sum())})


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


def test_other_settings_are_refused(tmp_path: Path) -> None:
    make_phase().run(tmp_path)
    with pytest.raises(UserError, match="other settings"):
        make_phase(settings=SETTINGS.model_copy(update={"steps": 20})).run(tmp_path)
