"""Asks each request which of 8 intents it is, its own among them: intents training held, and
others.

    speechverse synth test-sets/unseen --test-set unseen
    speechverse synth test-sets/clean --test-set clean
    python examples/unseen_labels/measure.py small test-sets/unseen test-sets/clean --output
    runs/unseen-labels

Each corpus is evaluated with `speechverse evaluate --tasks ic --choices-per-prompt 8`, once for
each way to choose: greedily, by score, and by score less that of nothing heard. Rules choose beside
the systems that read a transcript: the label with most words in common, and, with `--words CORPUS`,
the nearest mean of word vectors learned from the training texts of that corpus. Prints accuracies
by stratum; `results.json` and `answers.jsonl` lie in a folder for each way.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from rules import WordVectors, credit, shared_words

from speechverse.data import Corpus
from speechverse.evaluation import AnswerRecord, load_answers

WAYS = {
    "greedy": (),
    "scored": ("--choices", "score", "--scoring", "length"),
    "prior subtracted": ("--choices", "score", "--scoring", "prior"),
}
Rule = Callable[[str, Sequence[str]], list[float]]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", help="A run's folder, a checkpoint, or a built-in name.")
    parser.add_argument("corpora", type=Path, nargs="+", help="Corpus folders with intents.")
    parser.add_argument("--size", type=int, default=8, help="Labels in a list.")
    parser.add_argument(
        "--systems", default="speechverse,cascade-whisper,oracle", help="With commas between."
    )
    parser.add_argument(
        "--words", type=Path, help="A corpus folder, to learn word vectors from its training texts."
    )
    parser.add_argument("--output", type=Path, default=Path("runs/unseen-labels"))
    options, others = parser.parse_known_args()  # the rest is for `speechverse evaluate`
    rules: dict[str, Rule] = {"word overlap": shared_words}
    if options.words:
        rules["word vectors"] = WordVectors(Corpus.open(options.words).texts("train")).similarities
    print(f"{'corpus':<12} {'stratum':<16} {'system':<18} {'chosen':<17} {'right %':>7} {'n':>5}")
    for corpus in options.corpora:
        for way, how in WAYS.items():
            folder = options.output / corpus.name / way.replace(" ", "-")
            asked = (
                "--tasks",
                "ic",
                "--choices-per-prompt",
                options.size,
                "--systems",
                options.systems,
                *how,
                *others,
            )
            evaluate(options.model, "--corpus", corpus, "--output", folder, *asked)
            told(corpus.name, way, load_answers(folder), lambda record: record.score)
        for name, rule in rules.items():
            read = [record for record in load_answers(folder) if record.transcript is not None]
            told(corpus.name, name, read, lambda record, rule=rule: chosen(record, rule))


def evaluate(*arguments: object) -> None:
    command = [sys.executable, "-m", "speechverse", "evaluate", *map(str, arguments), "--json"]
    done = subprocess.run(command, stdout=subprocess.DEVNULL)
    if done.returncode:
        sys.exit(done.returncode)


def chosen(record: AnswerRecord, rule: Rule) -> float:
    """What a rule earns that reads the transcript which the answer stood on."""
    choices = record.choices or ()
    return credit(rule(record.transcript or "", choices), choices.index(record.reference))


def told(
    corpus: str, way: str, records: Sequence[AnswerRecord], earned: Callable[[AnswerRecord], float]
) -> None:
    """Prints a line for each stratum and system."""
    rows: dict[tuple[str, str], list[float]] = {}
    for record in records:
        strata = [
            part.removeprefix("stratum: ") for part in record.slices if part.startswith("stratum")
        ]
        rows.setdefault(("".join(strata) or "all", record.system), []).append(earned(record))
    for (stratum, system), values in sorted(rows.items()):
        mean = 100 * sum(values) / len(values)
        print(f"{corpus:<12} {stratum:<16} {system:<18} {way:<17} {mean:7.1f} {len(values):5}")


if __name__ == "__main__":
    main()
