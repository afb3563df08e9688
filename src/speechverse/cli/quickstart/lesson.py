"""Something new for the model: four commands for a robot, worded and spoken otherwise when it is
tried on them.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from speechverse.cli.quickstart import robot
from speechverse.yaml_files import parse_yaml

if TYPE_CHECKING:
    from speechverse.training.recipe import Recipe

TASK = f"{Path(robot.__file__).resolve()}:ROBOT"
_HERE = Path(__file__).parent


def write_sentences(path: Path, num_train: int, num_test: int) -> Path:
    """Writes what `speechverse synth --from` is to speak, no sentence twice; each split has voices
    of its own there.
    """
    from speechverse.data.lines import write_lines

    said, lines = parse_yaml((_HERE / "lesson.yaml").read_text(encoding="utf-8")), []
    for split, number in (("train", num_train), ("test", num_test)):
        for command, of in said[split].items():
            pairs = itertools.product(of["words"], of["wordings"])
            texts = [text.replace("_", word) for word, text in pairs]
            some = texts[: number // len(said[split])]  # the first ones hold every wording
            lines += [{"text": text, "split": split, "command": command} for text in some]
    write_lines(path, lines)
    return path


def recipe(model: str, corpus: Path, changes: Sequence[str]) -> Recipe:
    """How the lesson is learned: the recipe beside this file, with that model and corpus."""
    from speechverse.training.recipe_files import load_recipe

    where = {
        "initial": model,
        "data.corpora.lesson.path": str(corpus.resolve()),
        "data.mixtures.lesson.0.task": TASK,
    }
    own = [f"{key}={json.dumps(value)}" for key, value in where.items()]
    return load_recipe(_HERE / "robot.yaml", [*own, *changes])
