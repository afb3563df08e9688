"""The sentences of a made corpus with what they mean, for other voices to say.

    python examples/texts/said_again.py test-sets/clean lines.jsonl labels.yaml --every 5 --limit 60
    speechverse synth natural --from lines.jsonl --split test --engine kokoro --labels labels.yaml

What belongs to the voice that spoke (emotion, accent, how many speak) is left out.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from speechverse.data import Corpus
from speechverse.data.lines import write_lines
from speechverse.yaml_files import dump_yaml

SAID = ("intent", "domain", "slots", "keywords", "translations", "rare_words")
NAMED = ("intent", "domain", "slots")


def sentences(corpus: Corpus, split: str, every: int, limit: int) -> list[dict[str, Any]]:
    """Sentences of one speaker by the grammar, no text twice; every so many of them."""
    lines: dict[str, dict[str, Any]] = {}
    for utterance in corpus.utterances(split):
        if utterance.text and utterance.labels.get("stratum") == "grammar":
            meant = {name: utterance.labels[name] for name in SAID if name in utterance.labels}
            lines.setdefault(utterance.text, {"text": utterance.text, **meant})
    return list(lines.values())[::every][:limit]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpus", type=Path, help="a folder that `speechverse synth` made")
    parser.add_argument("lines", type=Path, help="JSONL to write")
    parser.add_argument("labels", type=Path, help="YAML of the labels to write")
    parser.add_argument("--split", default="test")
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--limit", type=int, default=60)
    asked = parser.parse_args()
    corpus = Corpus.open(asked.corpus)
    lines = sentences(corpus, asked.split, asked.every, asked.limit)
    write_lines(asked.lines, lines)
    labels = {
        name: dict(corpus.labels[name].descriptions) for name in NAMED if name in corpus.labels
    }
    asked.labels.write_text(dump_yaml(labels), encoding="utf-8")
    print(f"{asked.lines}: {len(lines)} sentences")


if __name__ == "__main__":
    main()
