"""Adapts a model to spoken digits of real people: three speakers to train on, the fourth to test, rotated.

    python examples/digits/rotate.py path/to/speech --initial quickstart/model --output runs/digits

`path/to/speech` holds a `manifest.jsonl` with one object a clip: audio, text, speaker, dataset ("fsdd"). For each
speaker left out, this writes a plain JSONL corpus, measures the model before, runs `speechverse train
recipes/digits.yaml`, measures it after, and at the end prints the share of digits that were wrong, with 95 %
bootstrap intervals.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from speechverse.metrics import bootstrap, normalize_english

RECIPES = Path(__file__).parents[2] / "recipes"
MEASURED = {
    "before": ("before", "speechverse"),
    "ctc before": ("before", "cascade-ctc"),
    "after": ("after", "speechverse"),
}
EVALUATE = ("--tasks", "asr", "--systems", "speechverse,cascade-ctc", "--limit", "0")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("speech", type=Path)
    parser.add_argument("--initial", default="tiny", help="The model to start from.")
    parser.add_argument("--output", type=Path, default=Path("runs/digits"))
    parser.add_argument("overrides", nargs="*", help="Changes to the recipe, key=value.")
    options = parser.parse_intermixed_args()
    answers: dict[str, list[tuple[str, str]]] = {name: [] for name in MEASURED}
    for speaker, folder in write_corpora(read_clips(options.speech, "fsdd"), options.output):
        rotate_one(options.initial, folder, options.overrides)
        for name, (folder_name, system) in MEASURED.items():
            found = read_answers(folder / folder_name, system)
            answers[name] += found
            print(f"{speaker:<10} {name:<11} {error_text(found)}", flush=True)
    for name, found in answers.items():
        print(f"{'all':<10} {name:<11} {error_text(found)}")


def read_clips(speech: Path, *datasets: str) -> list[dict[str, Any]]:
    """The manifest's clips of some data sets, their audio as absolute paths."""
    clips = [json.loads(line) for line in (speech / "manifest.jsonl").read_text().splitlines()]
    return [c | {"audio": str((speech / c["audio"]).resolve())} for c in clips if c["dataset"] in datasets]


def write_corpora(clips: Sequence[dict[str, Any]], output: Path) -> Iterator[tuple[str, Path]]:
    """For each speaker a folder in which that one is `test.jsonl` and the others are `train.jsonl`."""
    for speaker in sorted({clip["speaker"] for clip in clips}):
        sides: dict[str, list[dict[str, Any]]] = {"train": [], "test": []}
        for clip in clips:
            line = {key: clip[key] for key in ("audio", "text", "speaker")}
            sides["test" if clip["speaker"] == speaker else "train"].append(line)
        for split, lines in sides.items():
            write_jsonl(output / speaker / f"{split}.jsonl", lines)
        yield speaker, output / speaker


def write_jsonl(path: Path, lines: Sequence[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def rotate_one(initial: str, folder: Path, overrides: Sequence[str]) -> None:
    """Evaluates, adapts, evaluates again."""
    run("evaluate", initial, "--corpus", folder / "test.jsonl", *EVALUATE, "--output", folder / "before")
    adapt("digits", initial, folder, overrides)
    run("evaluate", folder / "model", "--corpus", folder / "test.jsonl", *EVALUATE, "--output", folder / "after")


def adapt(name: str, initial: str, folder: Path, overrides: Sequence[str]) -> Path:
    """Trains the recipe of that name on its one corpus, of the same name, in the folder; goes on where it stopped.

    Returns:
        The adapted model's folder.
    """
    corpus = f"data.corpora.{name}.jsonl"
    files = [f"{corpus}.{split}={(folder / f'{split}.jsonl').resolve()}" for split in ("train", "test")]
    recipe = RECIPES / f"{name}.yaml"
    run("train", recipe, f"initial={initial}", *files, *overrides, "--output", folder / "model", "--resume")
    return folder / "model"


def run(*arguments: object) -> None:
    subprocess.run([sys.executable, "-m", "speechverse", *map(str, arguments)], check=True, stdout=subprocess.DEVNULL)


def read_answers(folder: Path, system: str, task: str = "asr") -> list[tuple[str, str]]:
    """(answer, reference) of each example of a task."""
    rows = [json.loads(line) for line in (folder / "answers.jsonl").read_text().splitlines()]
    return [(row["answer"], row["reference"]) for row in rows if (row["system"], row["task"]) == (system, task)]


def error_text(found: Sequence[tuple[str, str]]) -> str:
    answers, references = zip(*((normalize_english(a), normalize_english(r)) for a, r in found), strict=True)
    right = bootstrap("accuracy", answers, references)
    low, high = 1 - right.high, 1 - right.low
    return f"digits wrong {1 - right.value:6.1%}  [{low:.1%}, {high:.1%}]  n={len(found)}"


if __name__ == "__main__":
    main()
