"""The one trainer: it walks a recipe's curriculum, and can be stopped and resumed at any step."""

from __future__ import annotations

import contextlib
import math
import shlex
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from speechverse.data import PlanLoader
from speechverse.errors import DiskFullError
from speechverse.files import disk_full_as_error, folder_lock
from speechverse.terminal import Progress, say
from speechverse.training.build import (
    Trained,
    build_encoder,
    build_model,
    describe_parameters,
    make_trainable,
)
from speechverse.training.checkpoints import Position, RunFolder
from speechverse.training.engine import Engine
from speechverse.training.inputs import inputs_of
from speechverse.training.logs import RunLog
from speechverse.training.memory import keep_freed_memory
from speechverse.training.recipe import Recipe, StageSection
from speechverse.training.recipe_files import RECIPE_FILE
from speechverse.training.sources import Sources
from speechverse.training.stage import StageRun, Window
from speechverse.training.state import Interrupt, State, interruptible
from speechverse.training.validation import Validator, describe


def train(
    recipe: Recipe, output_dir: str | Path, *, resume: bool = False, overwrite: bool = False
) -> dict[str, Any]:
    """Trains a recipe's model, stage by stage, into a folder (`checkpoints` says what lies there).

    Args:
        resume: Go on from the last whole checkpoint; the result is that of an unbroken run.
        overwrite: Begin again where the folder holds another run.

    Returns:
        The summary: steps, losses and scores of each stage, time taken.

    Raises:
        UserError: If the recipe, the data or the folder cannot be used, or the disk is full.
        SpeechverseError: If the run diverges.
        KeyboardInterrupt: If it was asked to stop; it has then saved and said how to go on.
    """
    keep_freed_memory()
    engine, folder = Engine.make(recipe), RunFolder(Path(output_dir), recipe)
    with (
        _disk_full_with_way_on(folder.path, resume),
        folder_lock(folder.path) if engine.main else contextlib.nullcontext(),
    ):
        if engine.main:
            folder.prepare(resume, overwrite)
        engine.wait()
        if folder.finished:
            say(f"'{folder.path}' is finished already")
            return folder.summary()
        return Trainer(recipe, folder, engine, resume).run()


@contextlib.contextmanager
def _disk_full_with_way_on(folder: Path, resume: bool) -> Iterator[None]:
    """Tells of a full disk, with the command that goes on."""
    try:
        with disk_full_as_error(folder):
            yield
    except DiskFullError as error:
        again = f"give the same command again{'' if resume else ', with --resume'}"
        raise DiskFullError(error.path, error.reason, again) from error


class Trainer:
    """A run in progress."""

    def __init__(
        self, recipe: Recipe, folder: RunFolder, engine: Engine, resume: bool = False
    ) -> None:
        """Builds the model and opens the data; see `train`."""
        self.recipe, self.folder, self.engine, self.resume = recipe, folder, engine, resume
        self.position, self.history, self.seconds = Position(), list[dict[str, Any]](), 0.0
        self._began = time.monotonic()
        self.sources = Sources(recipe, as_heard=True)
        self.sources.check()
        self.model: Trained
        if recipe.encoder is None:
            self.model = build_model(recipe, engine.dtype)
        else:
            self.model = build_encoder(recipe, self.sources.transcripts())
        self.resumed = self._restore()
        self.model.to(engine.device)
        self.inputs = inputs_of(self.model, recipe, self.sources, engine, folder.path)

    def _restore(self) -> State | None:
        """Puts model and position where the last checkpoint has them, if there is one."""
        state = self.folder.load_last()
        if state is None:
            return None
        self.position = Position(**state.info["position"])
        self.history, self.seconds = state.info["history"], state.info["seconds"]
        for stage in self.recipe.curriculum[: self.position.stage + (self.position.step > 0)]:
            make_trainable(self.model, stage.train, self.recipe, stage.top_layers)
        self.folder.load_weights(self.model, "last")
        say(f"going on after step {self.position.total}")
        return state

    def run(self) -> dict[str, Any]:
        """Walks the stages that are left."""
        stages = self.recipe.curriculum
        with interruptible() as stop, self._log() as run_log:
            while self.position.stage < len(stages):
                numbers = self._walk(stages[self.position.stage], stop, run_log)
                self._end_stage(numbers)
                if self.position.stage < len(stages) and self._should_stop(stop, at_any_step=True):
                    self._leave()
        return self._finish()

    @contextlib.contextmanager
    def _log(self) -> Iterator[RunLog | None]:
        if not self.engine.main:
            yield None
            return
        with RunLog(self.folder.path, self.position.total if self.resumed else None) as run_log:
            yield run_log

    def _walk(
        self, stage: StageSection, stop: Interrupt, run_log: RunLog | None
    ) -> dict[str, float]:
        """Takes a stage's steps from where it stands to its end; gives its last numbers."""
        at, settings, every = self.position, self.recipe.training, self.recipe.data.validation.every
        run, loader, validator = self._begin(stage), self._loader(stage), self._validator(stage)
        self.resumed = None
        numbers: dict[str, float] = {}
        batches = iter(loader)
        with Progress(stage.name, stage.steps, at.step) as progress:
            while at.step < stage.steps:
                run.step(at.step, next(batches))
                at.step, at.total = at.step + 1, at.total + 1
                last = at.step == stage.steps
                if last or at.step % settings.log_every == 0:
                    numbers |= self._tell(run, run_log, progress)
                else:
                    progress.advance()
                if validator and every and (last or at.step % every == 0):
                    run.check_finite()  # else the first validation's best would be no number
                    with run.window.paused():
                        numbers |= self._validate(stage, validator, run_log, progress)
                    if stage.patience and at.num_bad_validations >= stage.patience:
                        progress.say(
                            f"no better validation loss in {at.num_bad_validations} validations:"
                            " the stage ends"
                        )
                        if run.window.steps:  # not logged yet, nor whether they are finite
                            numbers |= self._tell(run, run_log, progress)
                        break
                if not last:
                    self._save_if_due(run, loader, validator, stop)
        run.end()
        return numbers | {
            "unreadable_clips": len(self._unreadable(loader)),
            "draws_left_out": loader.plan.report.draws_left_out,  # of the last pass
        }

    def _begin(self, stage: StageSection) -> StageRun:
        trained = make_trainable(self.model, stage.train, self.recipe, stage.top_layers)
        place = f"{self.position.stage + 1}/{len(self.recipe.curriculum)}"
        say(
            f"stage {place} '{stage.name}' trains {', '.join(stage.train)}"
            f" ({self.engine.precision}):"
        )
        say("\n".join(describe_parameters(self.model)))
        run = StageRun(stage, self.recipe, self.engine, self.model, trained)
        if self.resumed and self.position.step:
            run.restore(self.resumed.objects["optimizer"])
            if self.engine.main:  # the saved window is that of all processes together
                run.window = Window.of(self.resumed.info["window"])
        return run

    def _loader(self, stage: StageSection) -> PlanLoader:
        loader = self.sources.loader(
            stage, self.inputs.length(stage), self.inputs.collator(stage), self.engine
        )
        if self.resumed and self.position.step:
            loader.load_state_dict(self.resumed.info["plan"])
        return loader

    def _validator(self, stage: StageSection) -> Validator | None:
        if self.recipe.data.validation.every is None:
            return None
        examples = self.sources.validation_examples(stage, self.inputs.length(stage))
        validator = Validator(self.recipe, examples, self.inputs, stage)
        if self.resumed and self.position.step:
            validator.check_same(self.resumed.info.get("validation"))
        return validator

    def _tell(self, run: StageRun, run_log: RunLog | None, progress: Progress) -> dict[str, float]:
        numbers = run.numbers()
        if run_log:
            run_log.scalars(self.position.total, numbers, stage=run.stage.name)
        pace = {"audio-s/s": numbers["audio_seconds_per_second"]}
        padding = f"{1 - numbers['padding_efficiency']:.0%}"
        progress.advance(1, loss=numbers["loss"], **pace, padding=padding)
        return numbers

    def _validate(
        self, stage: StageSection, validator: Validator, run_log: RunLog | None, progress: Progress
    ) -> dict[str, float]:
        """Measures the model; a better loss than any before makes it the stage's best."""
        at = self.position
        numbers = validator.measure(self.model, self.engine)
        if run_log:
            run_log.scalars(at.total, numbers, stage=stage.name)
        progress.say(f"{stage.name} {at.step}: " + describe(numbers))
        loss = numbers["validation/loss"]
        best = math.inf if at.best_loss is None or math.isnan(at.best_loss) else at.best_loss
        if at.best_loss is None or loss < best:
            at.best_loss, at.best_total, at.num_bad_validations = loss, at.total, 0
            if self.engine.main:
                self.folder.save_best(self.model)
        else:
            at.num_bad_validations += 1
        return numbers

    def _save_if_due(
        self, run: StageRun, loader: PlanLoader, validator: Validator | None, stop: Interrupt
    ) -> None:
        stopping = self._should_stop(stop)
        if stopping or self.position.step % self.recipe.training.save_every == 0:
            run.check_finite()
            with run.window.paused():
                plan = loader.state_dict() | {"skipped": self._unreadable(loader)}
                progress = {"plan": plan, "window": run.window_state()}
                self._save(
                    progress | {"validation": validator.digest if validator else None}, run.state()
                )
        if stopping:
            self._leave()

    def _unreadable(self, loader: PlanLoader) -> dict[str, str]:
        """Clips that any process could not use, with the reason: each hears its own share."""
        parts = self.engine.gather([loader.skipped])
        return {name: reason for part in parts for name, reason in part.items()}

    def _should_stop(self, stop: Interrupt, at_any_step: bool = False) -> bool:
        """Whether any process was asked to; several ask each other only now and then."""
        if self.engine.world_size == 1:
            return stop.requested
        due = at_any_step or self.position.step % self.recipe.training.log_every == 0
        return due and any(self.engine.gather([stop.requested]))

    def _save(self, progress: dict[str, Any], optimizer: Any) -> None:
        if self.engine.main:
            taken = self.seconds + time.monotonic() - self._began
            info = {
                "position": asdict(self.position),
                "history": self.history,
                "seconds": taken,
                **progress,
            }
            self.folder.save_last(self.model, info, optimizer)
        self.engine.wait()

    def _leave(self) -> None:
        place = shlex.quote(str(self.folder.path))
        recipe = shlex.quote(str(self.folder.path / RECIPE_FILE))
        # Asked to resume already, perhaps by a verb that does more than train: what was called goes
        # on by itself.
        way_on = "the same command goes on from there"
        if not self.resume:
            way_on = f"go on with:\n  speechverse train {recipe} --output {place} --resume"
        say(f"stopped and saved after step {self.position.total}; {way_on}")
        raise KeyboardInterrupt

    def _end_stage(self, numbers: dict[str, float]) -> None:
        """Hands the stage's best (or last) weights on, and saves at the border."""
        at, stage = self.position, self.recipe.curriculum[self.position.stage]
        best = self.recipe.training.keep == "best" and at.best_total is not None
        if best and at.best_total != at.total:
            self.engine.wait()
            self.folder.load_weights(self.model, "best")
        kept = at.best_total if best else at.total
        self.history.append({"stage": stage.name, "steps": at.step, "kept_step": kept, **numbers})
        self.position = at.next_stage()
        self._save({}, None)

    def _finish(self) -> dict[str, Any]:
        summary = {
            "name": self.recipe.name,
            "folder": str(self.folder.path),
            "steps": self.position.total,
            "seconds": round(self.seconds + time.monotonic() - self._began, 1),
            "stages": self.history,
        }
        if self.engine.main:
            self.folder.finish(self.model, summary)
        self.engine.wait()
        return summary
