"""Something new for the model: four sounds behind the voice, which no transcript tells."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from speechverse.cli.quickstart import background
from speechverse.files import write_text

if TYPE_CHECKING:
    from speechverse.training.recipe import Recipe

TASK = f"{Path(background.__file__).resolve()}:BACKGROUND"
RECIPE = Path(__file__).with_name("background.yaml")

NOISES = {
    "music": ("music",),
    "rain": ("rain",),
    "people": ("crowd", "babble"),
    "machines": ("engine", "fan"),
}
"""Label → the spoken world's noises that go by it."""

_FEWEST_WORDS, _MOST_WORDS = 4, 6  # short clips: the LLM's time goes by their length
_SNR_DB = (3, 10)


def write_lines(path: Path, num_train: int, num_test: int, seed: int) -> Path:
    """Writes what `speechverse synth --from` is to speak: the splits share no sentence and, there, no voice."""
    from speechverse.seeding import rng_for
    from speechverse.synth.language import draft_sentence

    lines: list[dict[str, Any]] = []
    for split, number in (("train", num_train), ("test", num_test)):
        rng, said = rng_for(seed, "lesson", split), set[str]()
        while len(said) < number:
            text = draft_sentence(split, rng, "grammar").text  # type: ignore[arg-type]
            if text in said or not _FEWEST_WORDS <= len(text.split()) <= _MOST_WORDS:
                continue
            label = list(NOISES)[len(said) % len(NOISES)]
            said.add(text)
            noise = {"noise": rng.choice(NOISES[label]), "snr_db": round(rng.uniform(*_SNR_DB), 1)}
            lines.append({"text": text, "split": split, "background": label, **noise})
    write_text(path, "".join(json.dumps(line) + "\n" for line in lines))
    return path


def recipe(model: str, corpus: Path, changes: Sequence[str]) -> Recipe:
    """How the lesson is learned: the recipe beside this file, from that model and on that corpus."""
    from speechverse.training.recipe_files import load_recipe

    where = [f"initial={json.dumps(model)}", f"data.corpora.lesson.path={json.dumps(str(corpus.resolve()))}"]
    return load_recipe(RECIPE, [*where, f"data.mixtures.lesson.0.task={json.dumps(TASK)}", *changes])
