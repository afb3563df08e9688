"""How many of a set's words do lines to be read aloud hold?

    speechverse texts lines.jsonl --train 5000
    python examples/texts/coverage.py lines.jsonl slurp.jsonl

Both are JSONL with a `text` a line; lines without one are passed over.
"""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path


def words_of(file: Path) -> list[str]:
    """All that is said in a file, word by word, in lower case."""
    lines = file.read_text(encoding="utf-8").split("\n")  # `splitlines` also cuts inside strings
    told = (json.loads(line) for line in lines if line.strip())
    return [
        word for line in told for word in re.findall(r"[a-z']+", (line.get("text") or "").lower())
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("lines", type=Path, help="what is to be read aloud")
    parser.add_argument("measured", type=Path, nargs="+", help="sets whose words are looked for")
    asked = parser.parse_args()
    known = set(words_of(asked.lines))
    print(f"{asked.lines}: {len(known)} different words")
    for file in asked.measured:
        said = words_of(file)
        if not said:
            parser.error(f"{file} has no line with a text")
        different = set(said)
        share = len(different & known) / len(different)
        of_all = sum(word in known for word in said) / len(said)
        print(f"{file}: of {len(different)} different words {share:.0%}, of all said {of_all:.0%}")


if __name__ == "__main__":
    main()
