"""Questions about two clips at once, from a corpus of spoken lines: what each says, which has a
word.

    python examples/texts/pairs.py speech pairs.jsonl --number 1500

A recipe takes them for the task `follow`: `corpora: {pairs: {jsonl: {train: pairs.jsonl}}}`.
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path

from speechverse.data import Corpus
from speechverse.data.lines import write_lines
from speechverse.seeding import rng_for
from speechverse.tasks.spoken import written_words
from speechverse.types import AUDIO_SIGN, Utterance

PLACES = ("first", "second")
SHOWN = (
    f"{AUDIO_SIGN}{AUDIO_SIGN}{{}}",
    f"First: {AUDIO_SIGN} Second: {AUDIO_SIGN} {{}}",
    f"Here is one recording: {AUDIO_SIGN} And another: {AUDIO_SIGN} {{}}",
    f"{{}} {AUDIO_SIGN} {AUDIO_SIGN}",
)
ONE = ("What does the {} one say?", "Transcribe the {} recording.", "Write down the {} clip.")
BOTH = ("Write down both.", "What is said in each of them?", "Transcribe them, one by one.")
WHERE = ('In which of them is "{}" said?', "Which one says {}, the first or the second?")
_LONGEST = 8
"""Words of a clip: two stand in each prompt."""


def ask(rng: random.Random, pair: list[Utterance]) -> tuple[str, str, str]:
    """An instruction about two clips, its answer and its kind."""
    texts = [clip.text or "" for clip in pair]
    words = [[word.lower() for word in written_words(text)] for text in texts]
    kind = rng.choice(("one", "one", "both", "where"))
    at = rng.randrange(2)
    only = [word for word in words[at] if len(word) > 3 and word not in words[1 - at]]
    if kind == "where" and only:
        question, answer = rng.choice(WHERE).format(rng.choice(only)), f"the {PLACES[at]}"
    elif kind == "both":
        question, answer = rng.choice(BOTH), f"First: {texts[0]} Second: {texts[1]}"
    else:
        kind, question, answer = "one", rng.choice(ONE).format(PLACES[at]), texts[at]
    return rng.choice(SHOWN).format(question), answer, kind


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("corpus", type=Path, help="folder of `speechverse synth`")
    parser.add_argument("output", type=Path)
    parser.add_argument("--number", type=int, default=1000)
    arguments = parser.parse_args()
    rng = rng_for(1, "pairs")
    spoken = Corpus.open(arguments.corpus).utterances("train")
    short = [one for one in spoken if 1 < len(written_words(one.text or "")) <= _LONGEST]
    lines = []
    for number in range(arguments.number):
        pair = rng.sample(short, 2)
        instruction, answer, kind = ask(rng, pair)
        lines.append(
            {
                "id": f"pair-{number:05d}",
                "audio": [str(clip.audio.path.resolve()) for clip in pair],
                "text": [clip.text for clip in pair],
                "instructions": [{"instruction": instruction, "answer": answer, "kind": kind}],
            }
        )
    write_lines(arguments.output, lines)
    print(f"{arguments.output}: {len(lines):,} pairs")


if __name__ == "__main__":
    main()
