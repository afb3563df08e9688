"""SLURP's sentences, said in voices that training never held: which of 16 intents each has.

    python examples/unseen_labels/slurp.py small slurp/devel.jsonl --limit 100

Speaks a fixed choice of the sentences (a JSON line each: id, text, label) with `speechverse synth`,
in kokoro's held-out voices; needs the extras `synth` and `voices` and the parts kokoro-82m and
kokoro-voices. Then asks with `speechverse evaluate` among the right intent and 15 others, listed
with what they mean (slurp_intents.yaml), and scores all 16 in three ways, for the model, the
oracle and Whisper's cascade; the label with most words in common with what each of these read
stands beside. Chance is 1 in 16. Stopped, the same command goes on.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from measure import chosen, told
from rules import shared_words

from speechverse.data.lines import Lines, write_lines
from speechverse.evaluation import load_answers, load_results
from speechverse.seeding import hash_seed
from speechverse.yaml_files import read_yaml

INTENTS = Path(__file__).with_name("slurp_intents.yaml")
WAYS = ("raw", "length", "prior")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", help="A run's folder, a checkpoint, or a built-in name.")
    parser.add_argument("sentences", type=Path, help="SLURP's sentences, a JSON line each.")
    parser.add_argument("--limit", type=int, default=100, help="Sentences, chosen by hash.")
    parser.add_argument("--engine", default="kokoro", help="Whose voices: kokoro, espeak.")
    parser.add_argument("--systems", default="speechverse,oracle,cascade-whisper")
    parser.add_argument("--output", type=Path, default=Path("runs/slurp"))
    options = parser.parse_args()
    corpus = said(options)
    for way in WAYS:
        folder = options.output / way
        asked = ["--corpus", corpus, "--tasks", "ic", "--limit", 0, "--choices-per-prompt", 16]
        scored = ["--descriptions", "--choices", "score", "--scoring", way]
        beside = ["--systems", options.systems, "--output", folder, "--json"]
        speechverse("evaluate", options.model, *asked, *scored, *beside)
        for score in load_results(folder).scores:
            if score.metric == "accuracy" and score.slice == "all":
                value, low, high = (100 * part for part in (score.value, score.low, score.high))
                interval = f"{value:5.1f} [{low:.1f}, {high:.1f}]"
                print(f"{score.system:<16} {way:<7} {interval}  n={score.num_examples}", flush=True)
    read = [record for record in load_answers(folder) if record.transcript is not None]
    told("slurp", "word overlap", read, lambda record: chosen(record, shared_words))


def said(options: argparse.Namespace) -> Path:
    """The corpus of clips, made where it is not there yet."""
    options.output.mkdir(parents=True, exist_ok=True)
    known = read_yaml(INTENTS)["intent"]
    lines = [line for _, line in Lines.read(options.sentences).objects if line["label"] in known]
    lines.sort(key=lambda line: hash_seed(0, "slurp", line["id"]))
    chosen = [
        {"id": line["id"], "text": line["text"], "intent": line["label"]}
        for line in lines[: options.limit or None]
    ]
    written = options.output / f"sentences-{len(chosen)}.jsonl"
    write_lines(written, chosen)  # clips of other sentences are then refused
    corpus = options.output / f"clips-{options.engine}-{len(chosen)}"
    spoken = ["--from", written, "--split", "test", "--engine", options.engine]
    speechverse("synth", corpus, *spoken, "--labels", INTENTS, "--name", "slurp")
    return corpus


def speechverse(*arguments: object) -> None:
    command = [sys.executable, "-m", "speechverse", *map(str, arguments)]
    done = subprocess.run(command, stdout=subprocess.DEVNULL)
    if done.returncode:
        sys.exit(done.returncode)


if __name__ == "__main__":
    main()
