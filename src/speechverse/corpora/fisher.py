"""Fisher English: telephone conversations, here for counting who speaks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from speechverse.corpora.reader import Clip, CorpusReader, Reading
from speechverse.errors import CorpusError
from speechverse.seeding import rng_for
from speechverse.types import Seconds

EVERY: Seconds = 10.0
SHORTEST: Seconds = 2.0
LONGEST: Seconds = 4.6
"""A window begins every 10 s and lasts 2.0 to 4.6 s, by chance: some 700,000 of 3.3 s, where the
paper has 755,000 of 3.3 s.
"""
AUDIBLE: Seconds = 0.5
"""Who is transcribed for so long in a window speaks in it."""
TEST_SHARE = 0.01


def _read(reading: Reading) -> Iterator[tuple[str, Clip]]:
    from lhotse.recipes.fisher_english import create_supervision

    sessions = _sessions(reading)
    audio = _audio(reading)
    scripts = sorted(reading.source.glob("LDC200?T19/**/data/trans/*/*.txt"))
    if not audio or not scripts:
        reading.find("LDC2004S13/*/audio/*/*.sph", "LDC2004T19/data/trans/*/*.txt")
    tested = {path.stem for path in scripts if _is_tested(path.stem)}
    voices = {pin for name in tested for pin in sessions[_session(name)].values()}
    for script in scripts:
        name, pins = script.stem, sessions[_session(script.stem)]
        if name not in audio:
            reading.left_out["conversations without sound"] += 1
        elif name not in tested and not voices.isdisjoint(pins.values()):
            reading.left_out["conversations with a voice of the test"] += 1
        else:
            told = create_supervision((sessions, script))
            split = "test" if name in tested else "train"
            for clip in _windows(name, told, reading):
                yield split, clip | {"audio": str(audio[name]), "language": "en"}


def _audio(reading: Reading) -> dict[str, Path]:
    """Each conversation's sound: decoded where it is there, else as LDC has it."""
    audio: dict[str, Path] = {}
    for ending in (".sph", ".wav", ".flac"):
        found = sorted(reading.source.glob(f"LDC200?S13/**/*{ending}"))
        audio |= {path.stem: path for path in found}
    for path in audio.values():
        if path.suffix == ".sph" and _is_shortened(path):
            raise CorpusError(
                f"'{path}' is compressed by shorten, which is not read here: decode all such files"
                f" and leave what comes beside them, such as `sph2pipe -f wav {path.name}"
                f" {path.stem}.wav`"
            )
    return audio


def _is_shortened(path: Path) -> bool:
    with path.open("rb") as file:
        return b"embedded-shorten" in file.read(1024)


def _session(name: str) -> str:
    return name.rsplit("_", 1)[-1]


def _is_tested(name: str) -> bool:
    return rng_for(0, "fisher test", name).random() < TEST_SHARE


def _sessions(reading: Reading) -> dict[str, dict[str, str]]:
    """Who speaks on which side, by the number of the conversation, as lhotse's recipe reads it."""
    sessions = {}
    for table in sorted(reading.source.glob("LDC200?T19/**/doc/*_calldata.tbl")):
        for line in table.read_text(encoding="utf-8").splitlines()[1:]:
            cells = line.split(",")
            sessions[cells[0]] = {"A": cells[5], "B": cells[10]}
    if not sessions:
        reading.find("LDC2004T19/doc/*_calldata.tbl")
    return sessions


def _windows(name: str, told: Sequence[Any], reading: Reading) -> Iterator[Clip]:
    end = max((turn.end for turn in told), default=0.0)
    for number in range(int(end // EVERY)):
        start = number * EVERY
        length = round(rng_for(0, "fisher", name, number).uniform(SHORTEST, LONGEST), 2)
        heard = _seconds_by_speaker(told, start, start + length)
        speakers = sorted(who for who, seconds in heard.items() if seconds >= AUDIBLE)
        if not speakers or len(speakers) < len(heard):
            reading.left_out["windows in which nobody speaks, or one hardly"] += 1
            continue
        yield {
            "id": f"{name}@{start:g}",
            "start": start,
            "duration": length,
            "speaker": "+".join(speakers),
            "num_speakers": len(speakers),
        }


def _seconds_by_speaker(told: Sequence[Any], start: Seconds, end: Seconds) -> dict[str, Seconds]:
    """For how long each speaker is transcribed within a window."""
    heard: dict[str, Seconds] = {}
    for turn in told:
        if (overlap := min(turn.end, end) - max(turn.start, start)) > 0:
            heard[turn.speaker] = heard.get(turn.speaker, 0.0) + overlap
    return heard


FISHER = CorpusReader(
    "fisher",
    "LDC2004S13/, LDC2005S13/ (sound, decoded by sph2pipe beside its .sph files) and LDC2004T19/,"
    " LDC2005T19/ (transcripts)",
    "https://catalog.ldc.upenn.edu/LDC2004S13 and the three others, LDC licence",
    _read,
    (
        f"one or two speakers in a window: one window every {EVERY:g} s, {SHORTEST:g} to"
        f" {LONGEST:g} s long by chance, so that its length tells nothing; both sides are mixed",
        f"a side that is transcribed for {AUDIBLE:g} s speaks; windows with less of one, or of"
        " nobody, are left out",
        f"test is {TEST_SHARE:.0%} of the conversations, by a hash of their names; training has"
        " none of their voices (the paper's own split is not printed)",
    ),
)
