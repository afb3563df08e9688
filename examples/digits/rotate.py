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
from pathlib import Path

from speechverse.metrics import bootstrap, normalize_english

RECIPE = Path(__file__).parents[2] / "recipes" / "digits.yaml"
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
    clips = [json.loads(line) for line in (options.speech / "manifest.jsonl").read_text().splitlines()]
    clips = [clip for clip in clips if clip["dataset"] == "fsdd"]
    speakers = sorted({clip["speaker"] for clip in clips})
    answers: dict[str, list[tuple[str, str]]] = {name: [] for name in MEASURED}
    for speaker in speakers:
        folder = options.output / speaker
        write_corpus(options.speech, clips, speaker, folder)
        rotate_one(options.initial, folder, options.overrides)
        for name, (folder_name, system) in MEASURED.items():
            found = read_answers(folder / folder_name, system)
            answers[name] += found
            print(f"{speaker:<10} {name:<11} {error_text(found)}", flush=True)
    for name, found in answers.items():
        print(f"{'all':<10} {name:<11} {error_text(found)}")


def write_corpus(speech: Path, clips: list[dict], test_speaker: str, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for split in ("train", "test"):
        lines = [
            json.dumps({"audio": str((speech / c["audio"]).resolve()), "text": c["text"], "speaker": c["speaker"]})
            for c in clips
            if (c["speaker"] == test_speaker) == (split == "test")
        ]
        (folder / f"{split}.jsonl").write_text("\n".join(lines) + "\n")


def rotate_one(initial: str, folder: Path, overrides: list[str]) -> None:
    """Evaluates, adapts, evaluates again; each part is passed over where it is done."""
    run("evaluate", initial, "--corpus", folder / "test.jsonl", *EVALUATE, "--output", folder / "before")
    corpus = "data.corpora.digits.jsonl"
    files = [f"{corpus}.{split}={(folder / f'{split}.jsonl').resolve()}" for split in ("train", "test")]
    run("train", RECIPE, f"initial={initial}", *files, *overrides, "--output", folder / "model", "--resume")
    run("evaluate", folder / "model", "--corpus", folder / "test.jsonl", *EVALUATE, "--output", folder / "after")


def run(*arguments: object) -> None:
    subprocess.run([sys.executable, "-m", "speechverse", *map(str, arguments)], check=True, stdout=subprocess.DEVNULL)


def read_answers(folder: Path, system: str) -> list[tuple[str, str]]:
    """(answer, reference) of each clip."""
    rows = [json.loads(line) for line in (folder / "answers.jsonl").read_text().splitlines()]
    return [(row["answer"], row["reference"]) for row in rows if row["system"] == system]


def error_text(found: list[tuple[str, str]]) -> str:
    answers, references = zip(*((normalize_english(a), normalize_english(r)) for a, r in found), strict=True)
    right = bootstrap("accuracy", answers, references)
    low, high = 1 - right.high, 1 - right.low
    return f"digits wrong {1 - right.value:6.1%}  [{low:.1%}, {high:.1%}]  n={len(found)}"


if __name__ == "__main__":
    main()
