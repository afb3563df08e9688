"""One corpus of the recordings of people whose labels a built-in task asks for: sentences, orders,
speech or not, accents.

    python examples/people/together.py path/to/speech people.jsonl
    speechverse reproduce small --people people.jsonl

A clip of several parts is one line with the labels of all.
"""

from __future__ import annotations

import sys
from pathlib import Path

from corpora import (
    Clip,
    accent_lines,
    order_lines,
    read_clips,
    reading_lines,
    speech_lines,
    write_jsonl,
)
from measure import REPORTED, SPOKEN


def together(speech: Path) -> list[Clip]:
    """Each clip's labels of all parts, merged by its id."""
    merged: dict[str, Clip] = {}
    for line in (
        *reading_lines(read_clips(speech, "librispeech_small"), REPORTED),
        *order_lines(read_clips(speech, "picovoice_s2i")),
        *speech_lines(read_clips(speech, "esc10", "pyaudioanalysis"), read_clips(speech, *SPOKEN)),
        *accent_lines(read_clips(speech, "alphanumeric_accents")),
    ):
        merged[line["id"]] = merged.get(line["id"], {}) | line
    return list(merged.values())


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    write_jsonl(Path(sys.argv[2]), together(Path(sys.argv[1])))
