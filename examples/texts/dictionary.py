"""Makes text to be read aloud out of the GNU Collaborative International Dictionary of English
(GPL; Debian's package `dict-gcide`): its definitions and the lines it quotes, a paragraph each.

    python examples/texts/dictionary.py /usr/share/dictd/gcide.dict.dz text/dictionary.txt
    speechverse texts lines.jsonl --train 3000 --prose text/dictionary.txt

A dictionary says nearly every word once, so what is read from it teaches words that stories leave
out.
"""

from __future__ import annotations

import argparse
import gzip
import re
from collections.abc import Iterator
from pathlib import Path

_FEWEST_WORDS = 5
_IN_BRACKETS = re.compile(r"\[[^\]]*\]")
"""Etymologies, sources, signs that ASCII lacks."""

_HEADWORD = re.compile(r"^[^\\]*\\[^\\]*\\[^A-Z0-9{]*(?:\{[^}]*\}[^A-Z0-9{]*)*")
_NOT_SAID = re.compile(
    r"\([^)]*\)|^[A-Z]\w*\.\)"  # fields and names: (Zool.)
    r"|(?:--|\u2014) ?[A-Z].*$"  # who is quoted
    r"|^\s*\d+\. |\s\([a-z]\) |[{}]"
)
_ABOUT_THE_ENTRY = re.compile(
    r"^(?:Syn|Note|Usage|Hence|Cf|See|A?lso)\b|[\\\d=*/<\])(]|--|\b[a-z]{1,3}\. [a-z&]"
)


def paragraphs(dictionary: str) -> Iterator[str]:
    """What can be read aloud as it stands, one definition or quotation at a time.

    Args:
        dictionary: The dictionary as dictd keeps it: entries, their paragraphs parted by
            empty lines or by the line that names their source.
    """
    for block in re.split(r"\n\s*(?:\n|\[[^\]\n]*\]\s*\n)|\n(?=\S)", dictionary):
        plain = re.sub(r"\s+", " ", _IN_BRACKETS.sub(" ", block)).strip()
        plain = _NOT_SAID.sub(" ", _HEADWORD.sub("", plain))
        plain = re.sub(r" +([,;:.?!])", r"\1", re.sub(r"\s+", " ", plain)).strip(" ,;:.")
        plain += "" if plain.endswith(("?", "!")) else "."
        if _readable(plain):
            yield plain[0].upper() + plain[1:]


def _readable(text: str) -> bool:
    words = text.split()
    return len(words) >= _FEWEST_WORDS and text.isascii() and not _ABOUT_THE_ENTRY.search(text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("dictionary", type=Path, help="gcide.dict.dz")
    parser.add_argument("out", type=Path, help="text file to write, a paragraph a definition")
    arguments = parser.parse_args()
    with gzip.open(arguments.dictionary, "rt", encoding="utf-8", errors="replace") as file:
        found = list(dict.fromkeys(paragraphs(file.read())))
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text("\n\n".join(found) + "\n", encoding="utf-8")
    print(f"{arguments.out}: {len(found):,} paragraphs")


if __name__ == "__main__":
    main()
