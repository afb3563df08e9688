"""Europarl-ST: English speeches of the European Parliament with translations."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from speechverse.corpora.reader import Clip, CorpusReader, Reading
from speechverse.errors import CorpusError

TRANSLATED = ("de", "fr", "ro")
"""The paper's languages."""

_SPLITS = ("test", "dev", "train")


def _read(reading: Reading) -> Iterator[tuple[str, Clip]]:
    folder = reading.find("v1.1/en", "en", ".")
    clips: dict[str, tuple[str, Clip]] = {}
    spoken: dict[str, str] = {}
    for split in _SPLITS:
        for language in TRANSLATED:
            part = folder / language / split
            for clip, speech in _segments(part, language, folder / "audios"):
                if spoken.setdefault(speech, split) != split:
                    reading.left_out[f"a speech that is in {spoken[speech]} too"] += 1
                    continue
                _, known = clips.setdefault(clip["id"], (split, clip))
                known["translations"] |= clip["translations"]
    yield from clips.values()


def _segments(part: Path, language: str, audio: Path) -> Iterator[tuple[Clip, str]]:
    """The clips of one direction and split, each with the name of its speech."""
    speakers: dict[str, str] = dict(_columns(part, "speeches.lst", "speakers.lst"))
    texts = ("segments.lst", "segments.en", f"segments.{language}")
    for told, text, translation in _columns(part, *texts):
        speech, start, end = told.split()
        clip: Clip = {
            "id": f"{speech}_{start}_{end}",
            "audio": str(audio / f"{speech}.m4a"),
            "start": float(start),
            "duration": round(float(end) - float(start), 3),
            "text": text,
            "speaker": speakers.get(speech),
            "language": "en",
            "translations": {language: translation},
        }
        yield clip, speech


def _columns(part: Path, *names: str) -> Iterator[Any]:
    """The lines of files that belong together, those of one number at a time."""
    columns = [_lines(part / name) for name in names]
    if len({len(column) for column in columns}) > 1:
        raise CorpusError(f"'{part}': {', '.join(names)} have unlike many lines")
    return zip(*columns, strict=True)


def _lines(path: Path) -> list[str]:
    try:
        with path.open(encoding="utf-8") as lines:  # `splitlines` also cuts at signs in sentences
            return [line.rstrip("\n") for line in lines]
    except OSError as error:
        raise CorpusError(f"'{path}' cannot be read: {error.strerror}") from error


EUROPARL_ST = CorpusReader(
    "europarl_st",
    "v1.1/en/audios/*.m4a and v1.1/en/{de,fr,ro}/{train,dev,test}/segments.{lst,en,de,...}",
    "https://www.mllp.upv.es/europarl-st, CC BY-NC 4.0",
    _read,
    (
        "English into German, French and Romanian, as in the paper; a stretch that several"
        " directions have is one clip with all their translations",
        "directions are split apart: a speech that one of them tests on trains none",
    ),
)
