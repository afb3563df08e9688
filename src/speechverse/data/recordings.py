"""A folder of recordings without transcripts as a corpus; long ones are cut into windows."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from speechverse.audio import duration_of
from speechverse.audio.names import is_audio_name
from speechverse.data.corpus import Corpus
from speechverse.errors import AudioError, CorpusError
from speechverse.files import files_in
from speechverse.tally import MAX_BAD_SHARE, leave_out, refuse_too_many
from speechverse.types import AudioRef, Seconds, Utterance

SHORTEST: Seconds = 0.3
"""Of a recording that is used; there is nothing to hide and to guess in a shorter one."""


def corpus_of_recordings(
    name: str, folder: Path, longest: Seconds, max_bad_share: float = MAX_BAD_SHARE
) -> Corpus:
    """Every audio file in a folder and below, as the split `train`, cut into windows.

    A recording stands in for its unknown speaker: holding out by speaker holds out files.

    Raises:
        CorpusError: If there is no audio file, or too many cannot be read.
    """
    if not folder.is_dir():
        what = "is a file; for a JSONL there is 'jsonl'" if folder.exists() else "does not exist"
        raise CorpusError(
            f"corpus '{name}': '{folder}' {what}; 'audio' names a folder that holds audio files"
        )
    files = sorted(files_in(folder))
    audio = [file for file in files if is_audio_name(file)]
    if not audio:
        kinds = Counter(Path(file).suffix or "no suffix" for file in files)
        there = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common(5))
        raise CorpusError(
            f"corpus '{name}': '{folder}' holds no audio file, nor does a folder in it"
            f" ({there or 'it is empty'})"
        )
    cut, unreadable, short = list[Utterance](), dict[str, str](), dict[str, str]()
    for file in audio:
        try:
            length = duration_of(folder / file)
        except AudioError as error:
            unreadable[file] = str(error)
            continue
        if length < SHORTEST:
            short[file] = f"it is shorter than {SHORTEST:g} s"
            continue
        cut += windows(file, folder / file, length, longest)
    bad, where = unreadable | short, f"corpus '{name}', recordings in '{folder}'"
    refuse_too_many(unreadable, len(audio), max_bad_share, where)
    leave_out(bad, len(audio), where)
    return Corpus(name, {}, {"source": {"train": str(folder)}}, {"train": bad}, {"train": cut})


def windows(name: str, path: Path, length: Seconds, longest: Seconds) -> Iterator[Utterance]:
    """A recording in equal parts, none longer than `longest`; whole where it is short enough."""
    count = math.ceil(length / longest - 1e-6)
    if count <= 1:
        yield Utterance(name, AudioRef(path), length, speaker=name)
        return
    bounds = [round(length * number / count, 4) for number in range(count + 1)]
    for begin, end in pairwise(bounds):
        ref = AudioRef(path, begin, round(end - begin, 4))
        yield Utterance(f"{name}@{begin:.2f}", ref, end - begin, speaker=name)
