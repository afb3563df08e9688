from __future__ import annotations

from pathlib import Path

import torch
import torch.multiprocessing
from torch import nn

from speechverse.foundations.crew import ALONE, Crew
from speechverse.foundations.phases import Phase
from speechverse.foundations.recipe import PhaseSettings
from speechverse.training.state import load_state

SETTINGS = PhaseSettings(steps=6, learning_rate=0.1, warmup_steps=2, log_every=2, evaluate_every=3, save_every=2)
ROWS = [0, 1, 2, 3]


def train(folder: Path, crew: Crew) -> None:
    torch.manual_seed(0)
    module = nn.ModuleDict({"always": nn.Linear(3, 1), "now and then": nn.Linear(3, 1), "never": nn.Linear(3, 1)})

    def loss(step: int) -> tuple[torch.Tensor, dict[str, float]]:
        data = torch.randn(len(ROWS), 3, generator=torch.Generator().manual_seed(step))[crew.share(ROWS)]
        said = module["always"](data) + (module["now and then"](data) if step % 3 == 0 else 0.0)
        return said.square().mean(), {}

    look = {"weight": 0.0}
    Phase("toy", module, loss, SETTINGS, 0, {}, lambda: look, crew=crew).run(folder)


def train_as(rank: int, folder: Path) -> None:
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    train(folder / "two", Crew(rank, 2))
    torch.distributed.destroy_process_group()


def test_two_processes_train_what_one_would(tmp_path: Path) -> None:
    train(tmp_path / "one", ALONE)
    torch.multiprocessing.spawn(train_as, (tmp_path,), nprocs=2)
    one, two = (load_state(tmp_path / name / "toy") for name in ("one", "two"))
    for name, weight in one.tensors["model"].items():
        torch.testing.assert_close(two.tensors["model"][name], weight, rtol=1e-5, atol=1e-6)
    assert two.info["step"] == 6
    logs = (tmp_path / "two/logs/toy/metrics.jsonl").read_text().splitlines()
    assert len(logs) == 5, "only the first process logs"


def test_rows_are_dealt_to_all_and_none_stands_idle() -> None:
    crews = [Crew(rank, 2) for rank in range(2)]
    assert sorted(row for crew in crews for row in crew.share([7, 8, 9])) == [7, 8, 9]
    assert [crew.share([7]) for crew in crews] == [[7], [7]]
