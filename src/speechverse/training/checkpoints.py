"""A run's folder: what lies where, whole or not at all.

- recipe.yaml, environment.json: the resolved recipe; commit and versions.
- metrics.jsonl, tensorboard/: the log.
- last/: the newest checkpoint: a usable model, and all that `--resume` needs.
- best/: a usable model, that of the present stage's best validation.
- config.json, adapter...: the model of a finished run; summary.json is written last.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from speechverse.errors import CheckpointError, UserError
from speechverse.files import atomic_folder, recover, write_text
from speechverse.training.build import Trained
from speechverse.training.recipe import Recipe
from speechverse.training.recipe_files import (
    ENVIRONMENT_FILE,
    RECIPE_FILE,
    differences,
    load_recipe,
    note_environment,
    write_recipe,
)
from speechverse.training.sources import FEATURES
from speechverse.training.state import STATE_FILE, State, load_info, load_state, write_state

SUMMARY = "summary.json"
_MADE = {
    *("last", "best", ".model", ".last.partial", ".best.partial", "..model.partial", SUMMARY),
    *("metrics.jsonl", "tensorboard", "config.json", "adapter.safetensors", "lora"),
    *("model.safetensors", "preprocessor_config.json"),
}
"""What a run may leave in its folder, beside its marks."""
_STATE_FORMAT = 1


@dataclass
class Position:
    """How far a run has come.

    Attributes:
        step: Steps done in the present stage, `total` in all.
        best_loss: Lowest validation loss of the stage, at `best_total`.
        num_bad_validations: Validations since then.
    """

    stage: int = 0
    step: int = 0
    total: int = 0
    best_loss: float | None = None
    best_total: int | None = None
    num_bad_validations: int = 0

    def next_stage(self) -> Position:
        """The beginning of the stage after this one."""
        return Position(self.stage + 1, 0, self.total)


@dataclass(frozen=True)
class RunFolder:
    path: Path
    recipe: Recipe

    @property
    def finished(self) -> bool:
        return (self.path / SUMMARY).exists()

    def summary(self) -> dict[str, Any]:
        return json.loads((self.path / SUMMARY).read_text())

    def prepare(self, resume: bool, overwrite: bool) -> None:
        """Makes the folder ready for a run that begins or goes on; what was refused or stopped
        before its first checkpoint is begun anew.

        Raises:
            UserError: If it holds another run, finished or not, that nobody said should go.
        """
        recover(self.path / "last")
        if self._is_a_run() and (overwrite or not (resume or self.finished or self._is_saved())):
            self._clear()
        elif self._is_a_run():
            if not resume:
                raise UserError(
                    f"'{self.path}' holds a {self._state_in_words()}, or --overwrite to begin again"
                )
            self._check_recipe()
            if not self.finished:
                note_environment(self.path, self._saved_steps())
            return
        elif self.path.is_dir() and any(
            entry.name not in (".lock", FEATURES, ENVIRONMENT_FILE) for entry in self.path.iterdir()
        ):
            raise UserError(
                f"'{self.path}' is not empty and holds no run of ours; choose another --output"
            )
        write_recipe(self.recipe, self.path)

    def _saved_steps(self) -> int:
        if not self._is_saved():
            return 0
        return load_info(self.path / "last").get("position", {}).get("total", 0)

    def _is_saved(self) -> bool:
        return (self.path / "last" / STATE_FILE).exists()

    def _state_in_words(self) -> str:
        if self.finished:
            return "finished run: choose another --output"
        return "run that is not finished: go on with --resume"

    def _is_a_run(self) -> bool:
        """Whether a run was begun here: a recipe alone, and what lies beside it, is the user's."""
        begun = (self.path / ENVIRONMENT_FILE).exists() or self._is_saved()
        return begun and (self.path / RECIPE_FILE).exists()

    def _clear(self) -> None:
        """Deletes what the old run made, but for what marks it, which the new one writes over. What
        else lies there, feature caches too, stays.
        """
        last = self.path / "last"
        model = {part.name for part in last.iterdir()} if last.is_dir() else set[str]()
        made = {*_MADE, *model} - {ENVIRONMENT_FILE, RECIPE_FILE}
        for entry in [entry for entry in self.path.iterdir() if entry.name in made]:
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()

    def _check_recipe(self) -> None:
        changed = differences(load_recipe(self.path / RECIPE_FILE), self.recipe)
        if changed:
            raise UserError(
                f"'{self.path}' belongs to another recipe (differs in {', '.join(changed)}); go"
                f" on with '{self.path / RECIPE_FILE}' itself, or choose another --output, or"
                " --overwrite"
            )

    def load_last(self) -> State | None:
        """The newest whole checkpoint's state; None if the run was stopped before its first."""
        if not self._is_saved():
            return None
        state = load_state(self.path / "last")
        if state.info.get("format") != _STATE_FORMAT:
            raise CheckpointError(
                f"'{self.path / 'last'}' is of another version of speechverse; use --overwrite"
            )
        return state

    def save_last(self, model: Trained, info: dict[str, Any], optimizer: Any) -> None:
        """Replaces the newest checkpoint; `optimizer` is None between stages."""
        objects = {"optimizer": optimizer} if optimizer is not None else {}
        with atomic_folder(self.path / "last") as scratch:
            self._write_model(model, scratch)
            write_state(scratch, info={"format": _STATE_FORMAT, **info}, objects=objects)

    def save_best(self, model: Trained) -> None:
        with atomic_folder(self.path / "best") as scratch:
            self._write_model(model, scratch)

    def load_weights(self, model: Trained, which: Literal["last", "best"]) -> None:
        """Puts a checkpoint's weights into a model of the same making."""
        recover(self.path / which)
        model.load_trained(self.path / which)

    def _write_model(self, model: Trained, folder: Path) -> None:
        model.save_pretrained(folder)
        for name in (RECIPE_FILE, ENVIRONMENT_FILE):
            shutil.copy(self.path / name, folder / name)

    def finish(self, model: Trained, summary: dict[str, Any]) -> None:
        """Puts the finished model into the run's folder, and the summary last."""
        with atomic_folder(self.path / ".model") as scratch:
            model.save_pretrained(scratch)
        parts = sorted(
            (self.path / ".model").iterdir(), key=lambda part: part.name == "config.json"
        )
        for part in parts:
            target = self.path / part.name
            if target.is_dir():
                shutil.rmtree(target)
            os.replace(part, target)
        (self.path / ".model").rmdir()
        write_text(self.path / SUMMARY, json.dumps(summary, indent=1) + "\n")
