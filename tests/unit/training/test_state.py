"""Files that are whole or absent, the lock, signals, schedules."""

from __future__ import annotations

import errno
import json
import os
import signal
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
import torch

from speechverse.errors import CheckpointError, DiskFullError, UserError
from speechverse.files import atomic_folder, folder_lock, write_text
from speechverse.terminal import Progress
from speechverse.training.logs import RunLog
from speechverse.training.optim import make_optimizer, make_schedule
from speechverse.training.state import interruptible, load_state, write_state


def save_state(folder: Path, **what: Any) -> None:
    with atomic_folder(folder) as scratch:
        write_state(scratch, **what)


def test_a_state_comes_back_as_it_was(tmp_path: Path):
    save_state(tmp_path / "s", info={"step": 1}, objects={"optimizer": {"x": [1, 2.5]}})
    save_state(tmp_path / "s", info={"step": 2}, objects={"optimizer": {"x": [1, 2.5]}})
    state = load_state(tmp_path / "s")
    assert state.info == {"step": 2} and state.objects["optimizer"] == {"x": [1, 2.5]}
    assert [path.name for path in tmp_path.iterdir()] == ["s"]


def test_what_is_half_written_is_never_taken_for_whole(tmp_path: Path):
    save_state(tmp_path / "s", info={"step": 1})
    with pytest.raises(ZeroDivisionError), atomic_folder(tmp_path / "s") as scratch:
        (scratch / "state.json").write_text('{"step": 2')
        raise ZeroDivisionError
    assert load_state(tmp_path / "s").info == {"step": 1}
    with pytest.raises(
        CheckpointError, match="no whole training state.*delete that folder to begin again"
    ):
        load_state(tmp_path / "other")


def test_a_file_cut_short_is_told(tmp_path: Path):
    save_state(tmp_path / "s", info={}, objects={"optimizer": {"x": [1]}})
    file = "optimizer.pt"
    content = (tmp_path / "s" / file).read_bytes()
    for length in (0, len(content) // 2):
        (tmp_path / "s" / file).write_bytes(content[:length])
        with pytest.raises(CheckpointError, match="no whole training state.*delete that folder"):
            load_state(tmp_path / "s")


def test_a_kill_between_the_two_renames_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    save_state(tmp_path / "s", info={"step": 1})
    real, calls = os.replace, []

    def replace(source: Path, target: Path) -> None:
        calls.append(source)
        if len(calls) == 2:
            raise KeyboardInterrupt
        real(source, target)

    monkeypatch.setattr(os, "replace", replace)
    with pytest.raises(KeyboardInterrupt):
        save_state(tmp_path / "s", info={"step": 2})
    monkeypatch.undo()
    assert load_state(tmp_path / "s").info == {"step": 1}


FilesUpTo = Callable[[int], AbstractContextManager[None]]
FULL = "the disk is full or a limit on it is reached"


def test_a_state_that_finds_no_room_is_told_and_harms_nothing(
    tmp_path: Path, files_up_to: FilesUpTo
):
    save_state(tmp_path / "s", info={"step": 1})
    large = {"large": torch.zeros(10_000)}
    for more in ({"objects": {"optimizer": large}}, {"info": {"history": [0] * 10_000}}):
        with files_up_to(10_000), pytest.raises(DiskFullError, match=FULL) as told:
            save_state(tmp_path / "s", **{"info": {"step": 2}, **more})
        assert "give the same command again" in str(told.value) and "--resume" not in str(
            told.value
        )
        assert load_state(tmp_path / "s").info == {"step": 1}
        assert [path.name for path in tmp_path.iterdir()] == ["s"]


def test_a_small_file_that_finds_no_room_stays_as_it_was(tmp_path: Path, files_up_to: FilesUpTo):
    write_text(tmp_path / "a", "old")
    with files_up_to(100), pytest.raises(DiskFullError, match=FULL):
        write_text(tmp_path / "a", "new" * 100)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("a", "old")]


def test_a_log_that_finds_no_room_is_told(tmp_path: Path, files_up_to: FilesUpTo):
    with (
        files_up_to(10_000),
        pytest.raises(DiskFullError, match=r"full.*metrics\.jsonl"),
        RunLog(tmp_path) as log,
    ):
        for step in range(1000):
            log.scalars(step, {"loss": 1.0}, stage="align" * 100)
    assert json.loads((tmp_path / "metrics.jsonl").read_text().splitlines()[0])["loss"] == 1.0


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize(
    "kind", [OSError, lambda number, words: RuntimeError(f"I/O error: {words} (os error {number})")]
)
def test_a_full_disk_or_quota_is_told_in_the_system_s_words(
    tmp_path: Path, number: int, kind: Callable
):
    """Stands in for what a limit on a file's size cannot bring about."""
    with pytest.raises(DiskFullError, match=os.strerror(number)), atomic_folder(tmp_path / "s"):
        raise kind(number, os.strerror(number))


def test_two_runs_in_one_folder_are_refused(tmp_path: Path):
    with (
        folder_lock(tmp_path),
        pytest.raises(UserError, match="another run"),
        folder_lock(tmp_path),
    ):
        pass
    with folder_lock(tmp_path):
        pass


def test_the_first_signal_waits_for_the_step_and_the_second_does_not():
    with interruptible() as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.requested
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_a_resumed_log_forgets_what_came_after(tmp_path: Path):
    with RunLog(tmp_path) as log:
        for step in range(4):
            log.scalars(step, {"loss": float(step)})
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 4, "lo')
    with RunLog(tmp_path, resumed_at=2) as log:
        log.scalars(3, {"loss": 30.0})
    records = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [record["loss"] for record in records] == [0.0, 1.0, 2.0, 30.0]


def test_a_kill_while_a_log_is_cut_back_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    with RunLog(tmp_path) as log:
        for step in range(4):
            log.scalars(step, {"loss": float(step)})
    whole = (tmp_path / "metrics.jsonl").read_text()
    real = Path.write_text

    def write_half(path: Path, text: str, encoding: str) -> None:
        real(path, text[: len(text) // 2])
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Path, "write_text", write_half)
        RunLog(tmp_path, resumed_at=2)
    assert (tmp_path / "metrics.jsonl").read_text() == whole


def test_plain_progress_tells_numbers_and_the_time_left(capsys: pytest.CaptureFixture[str]):
    with Progress("align", 10, every=0) as progress:
        progress.advance(5, loss=1.25)
    assert "align 5/10  loss 1.25  left 00:0" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("kind", "rates"),
    [
        ("linear", [0.5, 1.0, 1.0, 0.75, 0.5, 0.25]),
        ("cosine", [0.5, 1.0, 1.0, 0.853553, 0.5, 0.146447]),
        ("constant", [0.5, 1.0, 1.0, 1.0, 1.0, 1.0]),
        ("transformer", [0.5, 1.0, 0.816497, 0.707107, 0.632456, 0.57735]),
    ],
)
def test_schedules_warm_up_and_fall(kind, rates: list[float]):
    optimizer = make_optimizer([torch.nn.Parameter(torch.ones(2, 2))], learning_rate=1.0)
    schedule, seen = make_schedule(optimizer, kind, warmup_steps=2, total_steps=6), []
    for _ in rates:
        seen.append(schedule.get_last_lr()[0])
        optimizer.step()
        schedule.step()
    assert seen == pytest.approx(rates, abs=1e-6)


def test_only_matrices_decay_and_frozen_ones_are_left_out():
    layer, frozen = torch.nn.Linear(3, 3), torch.nn.Parameter(torch.ones(3, 3), requires_grad=False)
    groups = make_optimizer([*layer.parameters(), frozen], 1e-3, weight_decay=0.1).param_groups
    assert [(len(group["params"]), group["weight_decay"]) for group in groups] == [
        (1, 0.1),
        (1, 0.0),
    ]
