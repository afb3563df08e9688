"""Offers each request 8 intents, its own among them, and counts who chooses it: intents training held, and others.

    speechverse synth test-sets/unseen --test-set unseen
    speechverse synth test-sets/clean --test-set clean
    python examples/unseen_labels/measure.py small test-sets/unseen test-sets/clean --output runs/unseen-labels

The lists are drawn from a hash of each clip's id, and asked once by name and once with descriptions. The model, the
cascade on its encoder's CTC transcript and the same LLM reading the true transcript choose greedily, by score and by
score less that of nothing heard; two rules choose beside them: the label with most words in common, and the nearest
mean of plain word vectors. Prints a table with 95 % intervals over clips, and writes `results.json` and
`answers.jsonl` for each corpus.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from rich.console import Console

from speechverse.cli.evaluate import open_corpus, progress
from speechverse.errors import SpeechverseError
from speechverse.evaluation.offered import OfferedResults, OfferSettings, measure_offered, offered_table
from speechverse.evaluation.provenance import describe, find_recogniser
from speechverse.pipeline import SpeechVerse


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="A run's folder, a checkpoint, or a built-in name.")
    parser.add_argument("corpora", type=Path, nargs="+", help="Corpus folders with intents.")
    parser.add_argument("--split", default="test")
    parser.add_argument("--size", type=int, default=8, help="Labels in a list.")
    parser.add_argument("--systems", default="speechverse,cascade-ctc,oracle", help="With commas between.")
    parser.add_argument("--limit", type=int, help="Clips of each stratum; by default all.")
    parser.add_argument("--seed", type=int, default=0, help="Of the lists, the choice of clips and the bootstrap.")
    parser.add_argument("--device", help="cpu, cuda:1, ...; by default a GPU where there is one.")
    parser.add_argument("--output", type=Path, default=Path("runs/unseen-labels"))
    options = parser.parse_args()
    try:
        measured = [measure(options, corpus) for corpus in options.corpora]
    except SpeechverseError as error:
        sys.exit(f"error: {error}")
    Console(width=None if sys.stdout.isatty() else 150).print(offered_table(measured))
    for note in dict.fromkeys(note for results in measured for note in results.notes):
        print(note)


def measure(options: argparse.Namespace, corpus: Path) -> OfferedResults:
    loaded = SpeechVerse.from_pretrained(options.model, options.device)
    output = options.output / corpus.name
    output.mkdir(parents=True, exist_ok=True)
    systems = tuple(options.systems.split(","))
    settings = OfferSettings(options.split, options.size, systems, options.limit, options.seed)
    with tempfile.TemporaryDirectory(dir=output, prefix=".features-") as features, progress(quiet=False) as watch:
        return measure_offered(
            loaded.model,
            loaded.processor,
            open_corpus(corpus, options.split),
            settings,
            output=output,
            features=Path(features),
            recogniser=find_recogniser(loaded.model)[0],
            about_model=describe(loaded.model, options.model),
            watch=watch,
        )


if __name__ == "__main__":
    main()
