"""Questions with the possible answers listed in them, about lines that are to be spoken: which of
these words is said? A program knows the answers.

    python examples/texts/listed.py lines.jsonl more.jsonl --output listed.jsonl

What comes out is joined to the corpus that speaks the lines, for the task `follow`:
`corpora: {speech: {path: speech, more_labels: listed.jsonl}}`.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from speechverse.data.lines import write_lines
from speechverse.seeding import rng_for
from speechverse.stop_words import STOP_WORDS
from speechverse.tasks.spoken import written_words

WORDINGS = (
    "Which one is it: {}?",
    "Which of the following do you hear? {}",
    "Choose what is said: {}.",
    "{}: which of them is spoken?",
    "Pick the one that is in the recording. Options: {}",
    "Answer with what is said, out of these: {}.",
    "Only one of these is said. Write it. {}",
    "The speaker says one of the following. Which? {}",
    "Here are the choices: {}. What do you hear?",
    "Listen and select: {}.",
)
_LONGEST_WHOLE = 3
"""Words of a line that is listed whole, beside lines of its own kind; of a longer one a word is."""

_UNLISTED = frozenset({"spelling", "prose"})


def ask(line: dict[str, str], others: Sequence[str], words: Sequence[str]) -> dict[str, str] | None:
    """A question about a line, with its answer; None where nothing in it can be listed.

    Args:
        line: Its `text`.
        others: What lines of its kind say, to be listed beside it.
        words: Words of any lines, to be listed beside one of it.
    """
    rng = rng_for(1, "listed", line["text"])
    said = written_words(line["text"].lower())
    if len(said) <= _LONGEST_WHOLE:
        answer, pool = " ".join(said), others
    else:
        own = sorted(_content(said))
        if not own:
            return None
        answer, pool = rng.choice(own), words
    listed = dict.fromkeys([answer])
    size = rng.randint(2, 10)
    for other in rng.sample(pool, min(len(pool), 4 * size)):
        if len(listed) < size and other not in said:
            listed[other] = None
    if len(listed) < 2:
        return None
    options = rng.sample(list(listed), len(listed))
    instruction = rng.choice(WORDINGS).format(", ".join(options))
    return {"instruction": instruction, "answer": answer, "kind": "listed"}


def _content(words: Sequence[str]) -> set[str]:
    return {word for word in words if len(word) > 3 and word not in STOP_WORDS}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("lines", type=Path, nargs="+", help="JSONL of `speechverse texts`")
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    read = [json.loads(line) for path in arguments.lines for line in path.open(encoding="utf-8")]
    lines = list({line["text"]: line for line in read if line["stratum"] not in _UNLISTED}.values())
    short, words = defaultdict(set), set()
    for line in lines:
        said = written_words(line["text"].lower())
        if len(said) <= _LONGEST_WHOLE:
            short[line["stratum"]].add(" ".join(said))
        words |= _content(said)
    kinds, pool = {kind: sorted(texts) for kind, texts in short.items()}, sorted(words)
    asked = [(line, ask(line, kinds.get(line["stratum"], []), pool)) for line in lines]
    labelled = [
        {"text": line["text"], "instructions": [question]} for line, question in asked if question
    ]
    write_lines(arguments.output, labelled)
    print(f"{arguments.output}: {len(labelled):,} of {len(lines):,} lines")


if __name__ == "__main__":
    main()
