"""Something new for the model: four commands for a robot, worded and spoken otherwise when it is tried on them."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from speechverse.cli.quickstart import robot
from speechverse.files import write_text

if TYPE_CHECKING:
    from speechverse.training.recipe import Recipe

TASK = f"{Path(robot.__file__).resolve()}:ROBOT"
RECIPE = Path(__file__).with_name("robot.yaml")

_SAID: Mapping[str, Mapping[str, tuple[tuple[str, ...], str]]] = {
    "train": {
        "clean": (
            ("clean the {}", "vacuum the {}", "sweep the {} floor", "wipe the {} table", "the {} is dirty"),
            "kitchen bedroom hall bathroom office",
        ),
        "fetch": (
            ("bring me my {}", "get my {}", "fetch the {}", "i need my {}", "hand me the {}"),
            "keys glasses phone book jacket",
        ),
        "follow": (
            ("follow me to the {}", "come with me to the {}", "walk behind me to the {}", "stay with me in the {}"),
            "kitchen bedroom hall bathroom office",
        ),
        "charge": (
            (
                "go and charge {}",
                "charge your battery {}",
                "plug yourself in {}",
                "recharge {}",
                "go to your charger {}",
            ),
            "now please today again soon",
        ),
    },
    "test": {
        "clean": (("there is dust in the {}", "mop the {}", "tidy up the {}"), "garage cellar garden bar"),
        "fetch": (("find my {} for me", "give me the {}", "carry the {} over here"), "bag cup hat pen"),
        "follow": (("join me in the {}", "go with me to the {}", "walk with me to the {}"), "garage cellar garden bar"),
        "charge": (
            ("your battery is low {}", "fill your battery {}", "plug in your battery {}"),
            "tonight first robot here",
        ),
    },
}
"""Split → command → wordings, and the words that fill them: no wording and, but for "charge", no word in both."""


def write_lines(path: Path, num_train: int, num_test: int) -> Path:
    """Writes what `speechverse synth --from` is to speak, no sentence twice; each split has voices of its own there."""
    lines = [
        {"text": text, "split": split, "command": command}
        for split, number in (("train", num_train), ("test", num_test))
        for command in _SAID[split]
        for text in _sentences(split, command)[: number // len(_SAID[split])]
    ]
    write_text(path, "".join(json.dumps(line) + "\n" for line in lines))
    return path


def _sentences(split: str, command: str) -> list[str]:
    """All sentences, so that the first ones hold every wording."""
    wordings, words = _SAID[split][command]
    return [wording.format(word) for word, wording in itertools.product(words.split(), wordings)]


def recipe(model: str, corpus: Path, changes: Sequence[str]) -> Recipe:
    """How the lesson is learned: the recipe beside this file, from that model and on that corpus."""
    from speechverse.training.recipe_files import load_recipe

    where = [f"initial={json.dumps(model)}", f"data.corpora.lesson.path={json.dumps(str(corpus.resolve()))}"]
    return load_recipe(RECIPE, [*where, f"data.mixtures.lesson.0.task={json.dumps(TASK)}", *changes])
