"""The trainer: what learns and what does not, stopping and going on, processes, what is refused."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import signal
import sys
import weakref
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import yaml
from accelerate.state import AcceleratorState
from safetensors.torch import load_file

from speechverse.cli import main
from speechverse.data import Collator, LoadedStep, MixtureItem
from speechverse.data.mixture import Mixture
from speechverse.errors import CheckpointError, RecipeError, SpeechverseError, UserError
from speechverse.models import SpeechVerseForConditionalGeneration
from speechverse.tasks import Ask, get_task
from speechverse.training import recipe_files, validation
from speechverse.training import trainer as trainer_module
from speechverse.training.build import build_model, make_trainable
from speechverse.training.checkpoints import RunFolder
from speechverse.training.engine import Engine, resolve_precision
from speechverse.training.loss import ExampleLosses, loss_numbers
from speechverse.training.objectives import example_losses
from speechverse.training.recipe import Recipe
from speechverse.training.recipe_files import load_recipe, recipe_from
from speechverse.training.sources import Sources
from speechverse.training.stage import StageRun
from speechverse.training.state import load_state
from speechverse.training.trainer import Trainer, train
from speechverse.training.validation import Validator
from speechverse.types import IGNORED, Answer, AudioRef, Utterance

MakeRecipe = Callable[..., Recipe]
FilesUpTo = Callable[[int], AbstractContextManager[None]]
TIMES = ("time", "audio_seconds_per_second", "steps_per_second")
TOTAL = 14


def weights(folder: Path) -> dict[str, torch.Tensor]:
    """Every weight file of a finished run."""
    files = sorted(folder.glob("*.safetensors")) + sorted(folder.glob("lora/*.safetensors"))
    return {
        f"{file.name}/{name}": tensor for file in files for name, tensor in load_file(file).items()
    }


def metrics(folder: Path) -> list[dict[str, Any]]:
    """The log, without what the clock says."""
    records = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [
        {name: value for name, value in record.items() if name not in TIMES} for record in records
    ]


def assert_same_run(one: Path, other: Path) -> None:
    a, b = weights(one), weights(other)
    assert a.keys() == b.keys()
    assert [name for name in a if not torch.equal(a[name], b[name])] == []
    assert metrics(one) == metrics(other)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {
        "features": tmp_path_factory.mktemp("features"),
        "runs": tmp_path_factory.mktemp("runs"),
    }


@pytest.fixture
def whole(recipe: MakeRecipe, shared: dict[str, Path]) -> tuple[Recipe, Path]:
    """The microscopic recipe, and the folder of a run of it that was never stopped."""
    made, folder = recipe(data={"cache_folder": str(shared["features"])}), shared["runs"] / "whole"
    train(made, folder, resume=True)
    return made, folder


def stop_after(monkeypatch: pytest.MonkeyPatch, steps: int) -> None:
    """Has the trainer asked to stop once so many steps are done, as by Ctrl-C."""
    real, done = StageRun.step, []

    class Flag:
        @property
        def requested(self) -> bool:
            return len(done) >= steps

    @contextmanager
    def interruptible() -> Iterator[Flag]:
        yield Flag()

    monkeypatch.setattr(StageRun, "step", lambda *args: (real(*args), done.append(1))[0])
    monkeypatch.setattr(trainer_module, "interruptible", interruptible)


def test_a_finished_run_is_a_model_with_its_recipe_and_is_not_run_again(whole: tuple[Recipe, Path]):
    recipe, folder = whole
    summary = json.loads((folder / "summary.json").read_text())
    assert [stage["steps"] for stage in summary["stages"]] == [4, 4, 6]
    assert load_recipe(folder / "recipe.yaml") == recipe
    for checkpoint in (folder, folder / "last", folder / "best"):
        model = SpeechVerseForConditionalGeneration.from_pretrained(checkpoint)
        assert model.has_lora
    assert train(recipe, folder, resume=True) == summary


def test_losses_by_task_padding_throughput_and_validation_scores_are_logged(
    whole: tuple[Recipe, Path],
):
    logged = {name for record in metrics(whole[1]) for name in record}
    assert {
        "loss",
        "loss/asr",
        "loss/er",
        "loss/ic",
        "padding_efficiency",
        "grad_norm",
        "learning_rate",
    } <= logged
    assert {
        "validation/loss",
        "validation/wer/asr",
        "validation/uar/er",
        "validation/unparsed_rate/ic",
    } <= logged
    assert list((whole[1] / "tensorboard").iterdir())


def test_a_run_stopped_again_and_again_goes_on_bit_for_bit(
    whole: tuple[Recipe, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    recipe, reference = whole
    run, kept = tmp_path / "run", tmp_path / "run" / "recipe.yaml"
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        stop_after(patch, 1)
        train(recipe, run)
    said = capsys.readouterr().err
    assert f"speechverse train {kept} --output {run} --resume" in said
    for total in (2, 4, 7, 11):  # of 14: in a stage, at its end, off the steps that are saved
        done = load_state(run / "last").info["position"]["total"]
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            stop_after(patch, total - done)
            train(load_recipe(kept), run, resume=True)
        assert "the same command goes on from there" in capsys.readouterr().err
    train(load_recipe(kept), run, resume=True)
    assert_same_run(reference, run)


def _train_until_killed(recipe: Recipe, folder: Path, steps: int) -> None:
    """Goes on with a run, and is killed after so many more steps."""
    real, done = StageRun.step, []

    def step(*args: Any) -> None:
        if len(done) == steps:
            os.kill(os.getpid(), signal.SIGKILL)
        done.append(1)
        real(*args)

    StageRun.step = step  # type: ignore[method-assign]
    train(recipe, folder, resume=True)


def test_a_run_killed_in_each_stage_goes_on_from_its_last_whole_checkpoint(
    whole: tuple[Recipe, Path], tmp_path: Path
):
    recipe, reference = whole
    folder = tmp_path / "run"
    for steps, kept in ((3, 2), (5, 6), (7, 12)):  # each from the step kept before
        child = multiprocessing.get_context("fork").Process(
            target=_train_until_killed, args=(recipe, folder, steps)
        )
        child.start()
        child.join()
        assert child.exitcode == -signal.SIGKILL
        assert load_state(folder / "last").info["position"]["total"] == kept
    train(recipe, folder, resume=True)
    assert_same_run(reference, folder)


def _train_by_command(recipe: Recipe, folder: Path, files_up_to: FilesUpTo, size: int) -> None:
    recipe_file = folder.with_suffix(".yaml")
    recipe_file.write_text(yaml.safe_dump(recipe.model_dump(mode="json")))
    sys.argv = ["speechverse", "train", str(recipe_file), "--output", str(folder)]
    with folder.with_suffix(".err").open("w", buffering=1) as sys.stderr, files_up_to(size):
        main()


@pytest.mark.parametrize(
    ("size", "kept"),
    [
        (32_000, 4),  # stage `align`'s optimiser takes 22 kB, that of `warm_up`, with LoRA, 47 kB
        (7_000, 0),  # the first checkpoint's weights take 7,352 bytes
    ],
)
def test_a_run_that_fills_the_disk_says_so_keeps_its_last_checkpoint_and_goes_on(
    whole: tuple[Recipe, Path], tmp_path: Path, files_up_to: FilesUpTo, size: int, kept: int
):
    recipe, reference = whole
    folder = tmp_path / "run"
    fork = multiprocessing.get_context("fork")
    child = fork.Process(target=_train_by_command, args=(recipe, folder, files_up_to, size))
    child.start()
    child.join()
    said = (tmp_path / "run.err").read_text()
    assert child.exitcode == 2, said
    assert (
        "error: the disk is full or a limit on it is reached" in said
        and f"'{folder}/last' was not written" in said
    )
    assert "give the same command again, with --resume" in said and "Traceback" not in said
    assert not list(folder.glob(".*.partial"))
    if kept:
        SpeechVerseForConditionalGeneration.from_pretrained(folder / "last")
        assert load_state(folder / "last").info["position"]["total"] == kept
    train(recipe, folder, resume=True)
    assert_same_run(reference, folder)


def test_loader_workers_and_the_cache_s_absence_change_nothing_in_a_resumed_run(
    recipe: MakeRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    made = recipe(
        data={"workers": 1, "cache": "none", "validation": {}}, training={"log_every": 50, "save_every": 50},
    )  # fmt: skip
    train(made, tmp_path / "whole")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        stop_after(patch, 10)
        train(made, tmp_path / "run")
    train(made, tmp_path / "run", resume=True)
    assert_same_run(tmp_path / "whole", tmp_path / "run")


def test_frozen_parts_do_not_change_by_one_bit_and_each_stage_trains_its_parts_only(
    recipe: MakeRecipe, shared: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    made = recipe(data={"cache_folder": str(shared["features"]), "validation": {}})
    run = Trainer(made, _folder(made, tmp_path), Engine.make(made))
    frozen = {
        n: p.clone() for n, p in run.model.named_parameters() if n.startswith(("encoder.", "llm."))
    }
    assert not run.model.has_lora
    run.run()
    assert run.engine.accelerator._optimizers == []
    after = dict(run.model.named_parameters())
    changed = [
        n
        for n, p in frozen.items()
        if not torch.equal(p, after.get(n, after.get(_in_lora(n, after))))
    ]
    assert changed == []
    assert any(p.abs().sum() > 0 for n, p in after.items() if "lora_B" in n)
    said = capsys.readouterr().err
    assert (
        "stage 1/3 'align' trains mixer, downsampler (fp32)" in said
        and "stage 3/3 'instruct'" in said
    )


def _in_lora(name: str, parameters: dict[str, Any]) -> str:
    """What PEFT calls a layer's own weight once it has adapters."""
    module, _, leaf = name.rpartition(".")
    return f"{module}.base_layer.{leaf}"


def _folder(recipe: Recipe, path: Path) -> Any:
    from speechverse.training.checkpoints import RunFolder

    folder = RunFolder(path, recipe)
    folder.prepare(resume=False, overwrite=False)
    return folder


class Bench:
    """A stage in progress on examples of a test's choosing."""

    def __init__(self, recipe: Recipe, stage: int = 2, dropout: bool = False) -> None:
        self.recipe, self.stage = recipe, recipe.curriculum[stage]
        self.engine = Engine.make(recipe)
        model = build_model(recipe)
        self.trained = make_trainable(model, self.stage.train, recipe)
        self.run = StageRun(self.stage, recipe, self.engine, model, self.trained)
        if not dropout:
            model.eval()
        self.collator = Collator(model.processor())
        corpus = Sources(recipe).corpus("world")
        self.mixture = Mixture(
            [MixtureItem(corpus, task, loss_weight=w) for task, w in (("asr", 1.0), ("er", 3.0))]
        )
        self.draws = list(self.mixture.draws(0))

    def loaded(self, *sizes: int) -> LoadedStep:
        """A step of the first examples, in micro-batches of these sizes."""
        batches, at = [], 0
        for size in sizes:
            draws = self.draws[at : at + size]
            examples = [self.mixture.example(draw) for draw in draws]
            batches.append(
                self.collator(examples, [self.mixture.loss_weight(draw) for draw in draws])
            )
            at += size
        return LoadedStep(tuple(batches), 1.0)


def test_the_rate_that_is_logged_is_that_of_the_step_taken(recipe: MakeRecipe):
    bench = Bench(recipe(data={"cache": "none"}))
    taken = bench.run.schedule.get_last_lr()[0]
    bench.run.step(0, bench.loaded(2))
    assert bench.run.numbers()["learning_rate"] == taken != bench.run.schedule.get_last_lr()[0]


def test_accumulation_over_micro_batches_is_one_large_batch(recipe: MakeRecipe):
    gradients = []
    for sizes in ((8,), (3, 1, 4)):
        bench = Bench(recipe(data={"cache": "none"}))
        bench.run.optimizer.zero_grad = lambda: None
        bench.run.step(0, bench.loaded(*sizes))
        gradients.append([p.grad.clone() for p in bench.trained if p.grad is not None])
        losses = bench.run.window_state()["sums"]
    assert len(losses) == 2 and len(gradients[0]) == len(gradients[1])
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-7)


def test_a_step_s_loss_is_the_weighted_mean_over_all_its_target_tokens(recipe: MakeRecipe):
    made = recipe(data={"cache": "none"}, training={"max_grad_norm": 1e9})
    taken, other = Bench(made), Bench(made)
    taken.run.optimizer.zero_grad = lambda: None
    taken.run.step(0, taken.loaded(3, 1, 4))
    [batch] = other.loaded(8).batches
    weights, tokens = batch.loss_weights, (batch.inputs["labels"] != IGNORED).sum(1)
    assert set(weights.tolist()) == {1.0, 3.0}
    nll = example_losses(other.run.model, batch).nll
    ((nll * weights).sum() / (tokens * weights).sum()).backward()
    for one, mine in zip(taken.trained, other.trained, strict=True):
        torch.testing.assert_close(one.grad, mine.grad, rtol=1e-4, atol=1e-7)


def test_the_log_has_each_task_s_mean_a_token_and_their_weighted_mean():
    sums = {"loss/asr": (2.0, 1.0, 2.0, 1.0), "loss/er": (8.0, 2.0, 24.0, 6.0)}
    assert loss_numbers(sums) == {"loss": 26 / 7, "loss/asr": 2.0, "loss/er": 4.0}


def test_a_step_s_gradient_is_no_longer_than_the_recipe_says(recipe: MakeRecipe):
    bench = Bench(recipe(data={"cache": "none"}, training={"max_grad_norm": 1e-3}))
    bench.run.optimizer.zero_grad = lambda: None
    bench.run.step(0, bench.loaded(4))
    norms = [p.grad.norm() for p in bench.trained if p.grad is not None]
    assert float(torch.stack(norms).norm()) == pytest.approx(1e-3, rel=1e-2)
    assert bench.run.numbers()["grad_norm"] > 1e-2, "what is logged is what it was"


def test_what_a_recipe_says_of_its_mixtures_reaches_those_that_train(recipe: MakeRecipe):
    said = {"turns": 0.15, "renamed": 0.3, "hinted": 0.2, "temperature": 2.0}
    made = recipe(data=said)
    mixture = Sources(made).mixture(made.curriculum[-1])
    assert {name: getattr(mixture, name) for name in said} == said


def test_it_learns_one_batch(recipe: MakeRecipe):
    stage = {"name": "only", "mixture": "asr", "train": ["mixer", "downsampler", "lora"], "steps": 60,
             "learning_rate": 3e-2, "schedule": "constant"}  # fmt: skip
    bench = Bench(recipe(data={"cache": "none"}, curriculum=[stage]), stage=0)
    batch, losses = bench.loaded(4), []
    for number in range(60):
        bench.run.step(number, batch)
        losses.append(bench.run.numbers()["loss"])
    assert losses[-1] < 0.6 * losses[0]


def test_lora_s_dropout_is_the_only_one_and_repeats_itself(recipe: MakeRecipe):
    bench = Bench(recipe(data={"cache": "none"}), dropout=True)
    dropped = [
        n
        for n, m in bench.run.model.named_modules()
        if isinstance(m, torch.nn.Dropout) and m.training and m.p > 0
    ]
    assert dropped and all("lora_dropout" in name for name in dropped)
    assert not bench.run.model.llm.training and not bench.run.model.encoder.training


def test_a_loss_that_is_not_finite_stops_the_run_with_advice(recipe: MakeRecipe):
    bench = Bench(recipe(data={"cache": "none"}))
    loaded = bench.loaded(2)
    loaded.batches[0].loss_weights[0] = float("nan")
    bench.run.step(0, loaded)
    with pytest.raises(SpeechverseError, match=r"not finite.*learning_rate"):
        bench.run.numbers()


def _train_as_process(rank: int, port: int, recipe: Recipe, folder: Path) -> None:
    AcceleratorState._reset_state(reset_partial_state=True)
    os.environ |= {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": "2",
        "ACCELERATE_USE_CPU": "1",
    }
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    train(recipe, folder)
    torch.distributed.destroy_process_group()


@contextmanager
def _broken(*paths: Path) -> Iterator[None]:
    """Files that are no audio within the block."""
    kept = {path: path.read_bytes() for path in paths}
    try:
        for path in paths:
            path.write_bytes(b"no audio")
        yield
    finally:
        for path, content in kept.items():
            path.write_bytes(content)


def test_two_processes_are_one(recipe: MakeRecipe, world: Path, tmp_path: Path):
    made = recipe(data={"cache_folder": str(tmp_path / "features"), "max_bad_share": 0.5})
    with _broken(*(world / "audio" / f"a{number}.wav" for number in range(4))):
        _train_alone_and_in_two(made, tmp_path)
    one, two = weights(tmp_path / "one"), weights(tmp_path / "two")
    for name in one:
        torch.testing.assert_close(one[name], two[name], rtol=1e-3, atol=1e-5)
    for a, b in zip(metrics(tmp_path / "one"), metrics(tmp_path / "two"), strict=True):
        assert a.pop("stage") == b.pop("stage")
        assert a == pytest.approx(b, rel=1e-3, abs=1e-5)
    unreadable = [
        [
            stage["unreadable_clips"]
            for stage in RunFolder(tmp_path / name, made).summary()["stages"]
        ]
        for name in ("one", "two")
    ]
    assert unreadable[0] == unreadable[1] and max(unreadable[0]) == 4


def _train_alone_and_in_two(made: Recipe, tmp_path: Path) -> None:
    import socket

    train(made, tmp_path / "one")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    fork = multiprocessing.get_context("fork")
    children = [
        fork.Process(target=_train_as_process, args=(rank, port, made, tmp_path / "two"))
        for rank in (0, 1)
    ]
    for child in children:
        child.start()
    for child in children:
        child.join(timeout=120)
    assert [child.exitcode for child in children] == [0, 0]


def test_patience_ends_a_stage_and_hands_its_best_weights_on(
    recipe: MakeRecipe, shared: dict[str, Path], tmp_path: Path
):
    stage = {"name": "only", "mixture": "asr", "train": ["downsampler"], "steps": 40, "learning_rate": 0.1,
             "schedule": "constant", "patience": 2}  # fmt: skip
    validation = {"split": "dev", "every": 1, "examples": 4, "decoded": 0}
    made = recipe(
        data={"cache_folder": str(shared["features"]), "validation": validation}, curriculum=[stage]
    )
    (done,) = train(made, tmp_path / "run")["stages"]
    assert done["steps"] == done["kept_step"] + 2 < 40
    best, kept = weights(tmp_path / "run" / "best"), weights(tmp_path / "run")
    assert all(torch.equal(best[name], kept[name]) for name in kept)
    last = made.model_copy(update={"training": made.training.model_copy(update={"keep": "last"})})
    (done,) = train(last, tmp_path / "last")["stages"]
    assert done["kept_step"] == done["steps"]
    best, kept = weights(tmp_path / "last" / "best"), weights(tmp_path / "last")
    assert not all(torch.equal(best[name], kept[name]) for name in kept)


def _unlogged_stage(recipe: MakeRecipe, shared: dict[str, Path], **stage: Any) -> Recipe:
    """One stage that is validated after every second step, and logs only where it ends."""
    only = {"name": "only", "mixture": "asr", "train": ["downsampler"], "steps": 40, "learning_rate": 0.1,
            "schedule": "constant", "warmup_steps": 0}  # fmt: skip
    validation = {"split": "dev", "every": 2, "examples": 4, "decoded": 0}
    return recipe(
        data={"cache_folder": str(shared["features"]), "validation": validation},
        training={"log_every": 100},
        curriculum=[only | stage],
    )


def test_a_stage_that_patience_ends_has_all_its_steps_logged(
    recipe: MakeRecipe, shared: dict[str, Path], tmp_path: Path
):
    (done,) = train(_unlogged_stage(recipe, shared, patience=1), tmp_path / "run")["stages"]
    assert done["steps"] < 40 and done["loss"] > 0
    assert metrics(tmp_path / "run")[-1]["learning_rate"] == done["learning_rate"]


def test_weights_that_are_no_numbers_are_never_the_best(
    recipe: MakeRecipe, shared: dict[str, Path], tmp_path: Path
):
    made = _unlogged_stage(recipe, shared, learning_rate=1e38)
    with pytest.raises(SpeechverseError, match="diverged"):
        train(made, tmp_path / "run")
    assert not (tmp_path / "run" / "best").exists()


def test_two_corpora_may_share_ids_in_validation(
    recipe: MakeRecipe, monkeypatch: pytest.MonkeyPatch
):
    task, weighed, answered = get_task("asr"), {}, []
    clips = [
        Utterance("0001", AudioRef(Path(name)), 1.0, text=name)
        for name in ("mine.wav", "yours.wav")
    ]
    examples = [task.render(clip, Ask(random.Random(0))) for clip in clips]

    def collate(some: list, weights: list) -> SimpleNamespace:
        weighed.update(
            {example.utterance.text: weight for example, weight in zip(some, weights, strict=True)}
        )
        skipped = {
            row: "no sound" for row, ex in enumerate(some) if ex.utterance.text == "mine.wav"
        }
        batch = SimpleNamespace(tasks=["asr"] * 2, loss_weights=torch.ones(2), skipped=skipped)
        batch.to = lambda device: batch
        return batch

    def answers(asked: list, stage: object) -> list[Answer]:
        answered.extend(example.utterance.text for example in asked)
        return [Answer(text=example.target) for example in asked]

    monkeypatch.setattr(
        validation, "example_losses", lambda *_: ExampleLosses(torch.ones(2), torch.ones(2))
    )
    made = recipe(
        data={"batch": {"max_positions": 20, "max_examples": 2}, "validation": {"decoded": 2}}
    )
    pairs = list(zip(examples, (1.0, 5.0), strict=True))
    inputs = SimpleNamespace(
        length=lambda stage: lambda example: 9, collator=lambda stage: collate, answers=answers
    )
    validator = Validator(made, pairs, inputs, made.curriculum[0])
    numbers = validator.measure(torch.nn.Linear(1, 1), Engine.make(made))
    assert weighed == {"mine.wav": 1.0, "yours.wav": 5.0}
    assert answered == ["yours.wav"] and numbers["validation/unreadable"] == 1
    for decoded in (1, 0):
        answered.clear()
        few = made.data.model_copy(
            update={"validation": made.data.validation.model_copy(update={"decoded": decoded})}
        )
        fewer = made.model_copy(update={"data": few})
        Validator(fewer, pairs, inputs, made.curriculum[0]).measure(
            torch.nn.Linear(1, 1), Engine.make(made)
        )
        assert len(answered) <= decoded


def test_a_bad_clip_in_training_or_validation_is_counted_and_skipped(
    recipe: MakeRecipe, world: Path, tmp_path: Path
):
    made = recipe(data={"cache": "none"})
    with _broken(world / "audio" / "a3.wav", world / "audio" / "b1.wav"):
        *_, last = train(made, tmp_path / "run")["stages"]
    assert last["unreadable_clips"] == 1 and last["validation/unreadable"] >= 1


@pytest.mark.parametrize(
    ("data", "model", "said"),
    [
        (
            {"validation": {"split": "deb", "every": 1}},
            {},
            "unknown split 'deb'; did you mean 'dev'",
        ),
        ({"corpora": {"world": {"path": "nowhere"}}}, {}, "nowhere"),
        ({}, {"lora": {"targets": ["nothing"]}}, "do not fit this LLM"),
    ],
)
def test_what_a_later_stage_would_fail_of_is_told_at_once(
    recipe: MakeRecipe, tmp_path: Path, data: dict, model: dict, said: str
):
    made = recipe(data={"cache": "none", **data})
    values = made.model_dump()
    values["model"] |= model and {"lora": {**values["model"]["lora"], **model["lora"]}}
    with pytest.raises(UserError, match=said):
        train(recipe_from(values), tmp_path / "run")


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ({"split": "tset"}, r"evaluation\.split: corpus 'world': unknown split 'tset'"),
        (
            {"split": "dev", "tasks": ["asr", "eer"]},
            r"evaluation\.tasks: unknown task 'eer'; did you mean 'er'",
        ),
        ({"split": "dev", "tasks": ["ar.py:AR"]}, r"evaluation\.tasks: no Python file '.*ar\.py'"),
        ({"corpus": "elsewhere", "split": "dev"}, "nowhere"),
    ],
)
def test_what_the_evaluation_would_fail_of_is_told_before_training(
    recipe: MakeRecipe, world: Path, tmp_path: Path, section: dict, said: str
):
    corpora = {"world": {"path": str(world)}, "elsewhere": {"path": "nowhere"}}
    made = recipe(
        data={"cache": "none", "corpora": corpora}, evaluation={"corpus": "world", **section}
    )
    with pytest.raises(UserError, match=said):
        train(made, tmp_path / "run")
    assert not (tmp_path / "run" / "metrics.jsonl").exists()


def test_a_corpus_without_a_test_split_is_trained_on_and_said(
    recipe: MakeRecipe, world: Path, capsys: pytest.CaptureFixture[str]
):
    made = recipe(evaluation={"corpus": "world"})
    Sources(
        recipe_from(made.model_dump())
    ).check()  # as a resumed run reads it, with every default written out
    assert "corpus 'world' has no split 'test'" in capsys.readouterr().err


def test_a_run_is_not_overwritten_or_mixed_with_another(
    whole: tuple[Recipe, Path], recipe: MakeRecipe, tmp_path: Path
):
    made, folder = whole
    with pytest.raises(UserError, match="finished run.*--overwrite"):
        train(made, folder)
    with pytest.raises(UserError, match=r"another recipe \(differs in seed\)"):
        train(recipe(seed=5, data={"cache_folder": made.data.cache_folder}), folder, resume=True)
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(UserError, match="not empty"):
        train(made, tmp_path, overwrite=True)
    (tmp_path / "recipe.yaml").write_text("name: of the user's own\n")
    for overwrite in (False, True):
        with pytest.raises(UserError, match="not empty"):
            train(made, tmp_path, overwrite=overwrite)
    assert (tmp_path / "thesis.tex").exists()
    assert (tmp_path / "recipe.yaml").read_text() == "name: of the user's own\n"


def test_what_was_refused_before_its_first_checkpoint_is_not_in_the_way_of_the_mended_run(
    recipe: MakeRecipe, tmp_path: Path
):
    for seed in (4, 5):
        RunFolder(tmp_path, recipe(seed=seed)).prepare(resume=False, overwrite=False)
        (tmp_path / "notes.txt").write_text("the user's own")
        (tmp_path / "my-evaluation").mkdir(exist_ok=True)
    assert load_recipe(tmp_path / "recipe.yaml").seed == 5
    RunFolder(tmp_path, recipe(seed=6)).prepare(resume=False, overwrite=True)
    assert load_recipe(tmp_path / "recipe.yaml").seed == 6
    assert (tmp_path / "notes.txt").exists() and (tmp_path / "my-evaluation").exists()


def test_an_overwriting_that_was_killed_is_gone_on_with(
    recipe: MakeRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    folder = RunFolder(tmp_path, recipe())
    folder.prepare(resume=False, overwrite=False)
    (tmp_path / "metrics.jsonl").write_text("")
    unlink, gone = Path.unlink, list[str]()

    def killed(path: Path, missing_ok: bool = False) -> None:
        unlink(path, missing_ok)
        gone.append(path.name)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(Path, "unlink", killed)
        folder._clear()
    assert gone == ["metrics.jsonl"]
    folder.prepare(resume=False, overwrite=True)
    assert (tmp_path / "recipe.yaml").exists()


def test_a_processor_without_bf16_units_is_told(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict)
    with pytest.raises(RecipeError, match="no bf16 units"):
        resolve_precision("bf16", torch.device("cpu"))
    assert resolve_precision("auto", torch.device("cpu")) == "fp32"


def test_bf16_keeps_frozen_parts_in_bf16_and_what_trains_in_fp32(
    recipe: MakeRecipe,
    foundation: Callable[[str], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
    values = recipe(training={"precision": "bf16"}).model_dump()
    values["model"] |= {"llm": str(foundation("t5")), "encoder": str(foundation("wavlm-base"))}
    made = recipe_from(values)
    run = Trainer(made, _folder(made, tmp_path), Engine.make(made))
    run.run()
    types = {
        p.dtype
        for name, p in run.model.named_parameters()
        if name.startswith("llm.") and "lora" not in name
    }
    assert types == {torch.bfloat16}
    assert all(t.dtype == torch.float32 and t.isfinite().all() for t in weights(tmp_path).values())


def test_a_checkpoint_of_other_data_is_refused(
    whole: tuple[Recipe, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    recipe, _ = whole
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        stop_after(patch, 2)
        train(recipe, tmp_path / "run")
    state = json.loads((tmp_path / "run" / "last" / "state.json").read_text())
    state["plan"]["digest"] = "other"
    (tmp_path / "run" / "last" / "state.json").write_text(json.dumps(state))
    with pytest.raises(CheckpointError, match="other data"):
        train(recipe, tmp_path / "run", resume=True)


def test_a_changed_validation_line_is_noticed_on_resume_as_a_changed_training_line_is(
    recipe: MakeRecipe, world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    files = {"train": [f"a{n}.wav" for n in range(6)], "dev": ["b0.wav", "b1.wav"]}

    def write(split: str, text: str) -> None:
        lines = [{"audio": str(world / "audio" / name), "text": text} for name in files[split]]
        (tmp_path / f"{split}.jsonl").write_text("\n".join(map(json.dumps, lines)))

    write("train", "play some jazz"), write("dev", "turn on the light")
    corpora = {"mine": {"jsonl": {split: str(tmp_path / f"{split}.jsonl") for split in files}}}
    data = {
        "corpora": corpora,
        "mixtures": {"asr": [{"corpus": "mine", "task": "asr"}]},
        "cache": "none",
    }
    stage = {
        "name": "only",
        "mixture": "asr",
        "train": ["mixer"],
        "steps": 4,
        "learning_rate": 1e-3,
    }
    made = recipe(data=data, curriculum=[stage])
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        stop_after(patch, 2)
        train(made, tmp_path / "run")
    write("dev", "turn off the light")
    with pytest.raises(CheckpointError, match="other validation data"):
        train(made, tmp_path / "run", resume=True)
    write("dev", "turn on the light")
    assert train(made, tmp_path / "run", resume=True)["steps"] == 4


def test_a_stage_lets_go_of_its_optimiser(recipe: MakeRecipe):
    bench = Bench(recipe(data={"cache": "none"}))
    bench.run.step(0, bench.loaded(2))
    optimizer = weakref.ref(bench.run.optimizer.optimizer)
    bench.run.end()
    assert optimizer() is None


def test_a_resume_keeps_the_first_environment_and_lists_another(
    recipe: MakeRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    folder = _folder(recipe(), tmp_path)
    first = json.loads((tmp_path / "environment.json").read_text())
    (tmp_path / "last").mkdir()
    (tmp_path / "last" / "state.json").write_text(json.dumps({"position": {"total": 7}}))
    monkeypatch.setattr(recipe_files, "environment", lambda: {"commit": "other", "versions": {}})
    for _ in range(2):
        folder.prepare(resume=True, overwrite=False)
    noted = json.loads((tmp_path / "environment.json").read_text())
    assert noted == first | {"resumed": [{"step": 7, "commit": "other", "versions": {}}]}


def test_a_finished_folder_s_recipe_and_environment_are_not_touched(
    recipe: MakeRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    folder = _folder(recipe(), tmp_path)
    (tmp_path / "summary.json").write_text("{}")
    files = [tmp_path / "recipe.yaml", tmp_path / "environment.json"]
    files[0].write_text("# a note\n" + files[0].read_text())
    before = [file.read_text() for file in files]
    monkeypatch.setattr(recipe_files, "environment", lambda: {"commit": "other", "versions": {}})
    folder.prepare(resume=True, overwrite=False)
    assert [file.read_text() for file in files] == before
